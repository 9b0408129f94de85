package geofence

import (
	"math"
	"math/big"
)

// orientation is +1 when p lies left of the way from a to b, -1 right of it, 0 exactly on it. Where rounding could decide,
// it is computed exactly (the error bound is Shewchuk's, Adaptive Precision Floating-Point Arithmetic, 1997).
func orientation(ax, ay, bx, by, px, py float64) int {
	l, r := float64((ax-px)*(by-py)), float64((ay-py)*(bx-px))
	det := l - r
	if bound := 3.3306690738754716e-16 * (math.Abs(l) + math.Abs(r)); det > bound || -det > bound {
		if det > 0 {
			return 1
		}
		return -1
	}
	exact := func(v float64) *big.Rat { return new(big.Rat).SetFloat64(v) }
	sub := func(a, b float64) *big.Rat { return new(big.Rat).Sub(exact(a), exact(b)) }
	left := new(big.Rat).Mul(sub(ax, px), sub(by, py))
	return left.Cmp(new(big.Rat).Mul(sub(ay, py), sub(bx, px)))
}
