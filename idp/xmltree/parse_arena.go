package xmltree

// arena allocates elements and slices from chunks, so that a message costs a few allocations
// instead of a few per element. A chunk never grows, because allocated elements point into it.
// A full chunk is followed by a new one.
type arena struct {
	elements []Element
	attrs    []Attr
	ns       []NSDecl
	nodes     []Node
}

func (a *arena) newElement() *Element {
	if len(a.elements) == cap(a.elements) {
		a.elements = make([]Element, 0, min(max(8, 2*cap(a.elements)), 512))
	}
	a.elements = a.elements[:len(a.elements)+1]
	return &a.elements[len(a.elements)-1]
}

func (a *arena) keepAttrs(s []Attr) []Attr  { return appendChunk(&a.attrs, s, 12) }
func (a *arena) keepNS(s []NSDecl) []NSDecl { return appendChunk(&a.ns, s, 4) }
func (a *arena) keepNodes(s []Node) []Node  { return appendChunk(&a.nodes, s, 16) }

// appendChunk copies s into the chunk, or into a new one of at least size, and returns the
// copy, which has no capacity to grow into its neighbour.
func appendChunk[T any](chunk *[]T, s []T, size int) []T {
	if len(s) == 0 {
		return nil
	}
	if len(*chunk)+len(s) > cap(*chunk) {
		*chunk = make([]T, 0, max(size, len(s), min(2*cap(*chunk), 1024)))
	}
	at := len(*chunk)
	*chunk = append(*chunk, s...)
	return (*chunk)[at:len(*chunk):len(*chunk)]
}
