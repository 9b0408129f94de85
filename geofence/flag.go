package geofence

// Flag marks a fix that is kept and moves nothing, or how it came. The bits are stored with the position.
type Flag int16

const (
	OutOfOrder Flag = 1 << iota // older than what its channel was judged on
	Impossible                  // further from the last than anything moves (R28)
	Skewed                      // the device's clock is off by more than the tolerance (R38)
	Late                        // older than the lateness limit when it came (R36)
	Answer                      // answers a check
	Frozen                      // the same to the centimetre, again and again: a receiver that has stuck
	Detached                    // the device may not be on the person: it speaks for itself (R122)
)

// moves reports whether a fix with these flags takes part in decisions.
func (f Flag) moves() bool { return f&(OutOfOrder|Impossible|Skewed|Frozen|Detached) == 0 }
