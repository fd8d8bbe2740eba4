package flow_test

import (
	"entente/handling"
	"entente/internal/flow"
	"entente/statement"
)

func deskDraft(s *side, kind string, thread *statement.Commitment, face statement.DeskFace) flow.Draft {
	return flow.Draft{Link: s.link, Lane: statement.Control, Kind: kind, Thread: thread, Marking: handling.Marking{TLP: "AMBER"}, Face: face,
		Body: statement.DeskBody{Names: map[string]string{"en": "Hotline"}, Always: true, Zone: "Europe/Vienna", Languages: []string{"en"}}}
}

func countersign(s *side, desk, edition statement.Commitment) flow.Draft {
	return flow.Draft{Link: s.link, Lane: statement.Control, Kind: "desk.countersign", Thread: &desk, Marking: handling.Marking{TLP: "AMBER"},
		Face: statement.DeskCountersignFace{Desk: edition}, Body: statement.EmptyBody{}}
}
