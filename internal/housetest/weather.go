package housetest

import (
	"fmt"
	"math/rand/v2"
)

// weather is how often what goes wrong; of a thousand, unless it says otherwise. Each run draws its own, and leaves much of it
// out, so that every fault is also met alone.
type weather struct {
	lostRequest, lostAnswer, doubled, delayed, late, cut, thinned, damaged int // requests

	crash, failing, again, between int // transactions
	blob                           int // operations of the blob store
	disk, part                     bool
	suspend                        bool // members suspend lanes and withdraw
	clock                          bool // a clock is put right, or wrong, when its node starts
	age                            bool // a month goes by, and what was not delivered expires
	erase                          bool
	register                       bool // members send some messages registered
	courier                        bool // files travel beside the network
	turn                           bool // keys are replaced
	thief                          bool // somebody else has keys of a party, too
	lapse                          bool // nodes are put back to backups, and open epochs by hand
}

func forecast(r *rand.Rand) weather {
	some := func(most int) int {
		if r.IntN(2) == 0 {
			return 0
		}
		return 1 + r.IntN(most)
	}
	return weather{
		lostRequest: some(250), lostAnswer: some(250), doubled: some(200), delayed: some(400), late: some(200), cut: some(150),
		thinned: some(200), damaged: some(150),
		crash: some(60), failing: some(60), again: some(200), between: some(200),
		blob: some(60), disk: r.IntN(3) == 0, part: r.IntN(3) == 0, suspend: r.IntN(3) == 0,
		clock: r.IntN(4) == 0, age: r.IntN(6) == 0, erase: r.IntN(3) == 0,
		register: r.IntN(3) == 0, courier: r.IntN(3) == 0, turn: r.IntN(3) == 0, thief: r.IntN(3) == 0,
		lapse: r.IntN(4) == 0,
	}
}

// String names what is not zero.
func (s weather) String() string {
	return fmt.Sprintf("lost %d/%d doubled %d delayed %d late %d cut %d thinned %d damaged %d crash %d failing %d again %d between %d blob %d disk %t part %t suspend %t clock %t age %t erase %t register %t courier %t turn %t thief %t lapse %t",
		s.lostRequest, s.lostAnswer, s.doubled, s.delayed, s.late, s.cut, s.thinned, s.damaged, s.crash, s.failing, s.again, s.between,
		s.blob, s.disk, s.part, s.suspend, s.clock, s.age, s.erase, s.register, s.courier, s.turn, s.thief, s.lapse)
}
