package node

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"entente/internal/flow"
)

// probePatience bounds how long the database may take to prove that it can be written.
const probePatience = 3 * time.Second

// probeKey is the row that readiness writes.
const probeKey = "probe"

// operations is what an operator's machines ask: health, readiness and metrics.
func (n *Node) operations() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "alive\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := n.checkReady(r.Context()); err != nil {
			n.log.WarnContext(r.Context(), "the node is not ready", "cause", err)
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ready\n")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(n.metrics.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	return mux
}

// checkReady says whether the doors are open, every loop runs, and the database takes a write.
func (n *Node) checkReady(ctx context.Context) error {
	if !n.ready.Load() {
		return fmt.Errorf("the doors are closed")
	}
	if running := n.loops.Load(); running != wantLoops {
		return fmt.Errorf("%d of %d loops run", running, wantLoops)
	}
	return n.probe(ctx)
}

// probe writes a row and waits until it is durable.
func (n *Node) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	at := []byte(n.now().UTC().Format(time.RFC3339))
	return n.store.Update(ctx, flow.Urgent, func(tx flow.Tx) error { return tx.SetMeta(ctx, probeKey, at) })
}
