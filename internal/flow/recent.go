package flow

import "sync"

// recent remembers values by key, no more than its limit: to remember one more it forgets any other.
type recent[K comparable, V any] struct {
	limit int

	mu    sync.Mutex
	known map[K]V // guarded by mu
}

func (r *recent[K, V]) get(key K) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.known[key]
	return v, ok
}

func (r *recent[K, V]) put(key K, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[K]V{}
	}
	_, again := r.known[key]
	for other := range r.known {
		if again || len(r.known) < r.limit {
			break
		}
		delete(r.known, other)
	}
	r.known[key] = v
}

func (r *recent[K, V]) drop(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, key)
}
