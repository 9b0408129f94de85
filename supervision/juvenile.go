package supervision

// refusedJuvenile is what whoever may not see a minor's record is told.
var refusedJuvenile = &LawError{FieldError{"subject", OfAJuvenile, "records of minors are for the team that works with them"}, "社区矫正法 52、54"}

// MaySee says whether an actor may open the record of a subject; nil: yes. That of somebody who was a minor is for the team for minors, and for the head;
// whoever else works with an alert about them sees the alert, and no name (R88).
func (a *Actor) MaySee(v *Subject) error {
	if v.Juvenile && !a.Team && !a.Head {
		return refusedJuvenile
	}
	return nil
}

// Together says whether people may be in one group activity; nil: yes. Minors are educated apart (社区矫正法 54, 55; R88).
func Together(list []Subject) error {
	for i := range list {
		if list[i].Juvenile != list[0].Juvenile {
			return &LawError{FieldError{"subjects", OfAJuvenile, "minors and adults are not in one group"}, "社区矫正法 52"}
		}
	}
	return nil
}
