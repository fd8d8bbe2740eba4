package keyring

// hidden keeps a secret out of everything that prints values by reflection. A pointer would not do: package fmt
// follows one that stands in an unexported field when the verb does not suit it. Of a function it prints the address.
type hidden[T any] func() T

func hide[T any](secret T) hidden[T] { return func() T { return secret } }
