package simulate

import "container/heap"

// queue is the devices by when they speak next; of two at the same instant the one that was made first.
type queue []*device

func (q queue) Len() int { return len(q) }

func (q queue) Less(a, b int) bool {
	s, t := q[a].due(), q[b].due()
	return s.Before(t) || s.Equal(t) && (q[a].person < q[b].person || q[a].person == q[b].person && q[a].wristband && !q[b].wristband)
}

func (q queue) Swap(a, b int) {
	q[a], q[b] = q[b], q[a]
	q[a].place, q[b].place = a, b
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	d := x.(*device)
	d.place = len(*q)
	*q = append(*q, d)
}

// Pop implements heap.Interface; devices stay for ever.
func (q *queue) Pop() any { panic("simulate: a device left its queue") }

// moved puts a device in its new place after its next instant changed.
func (q *queue) moved(d *device) { heap.Fix(q, d.place) }
