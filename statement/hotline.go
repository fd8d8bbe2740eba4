package statement

import (
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
)

// HotlineKinds returns what is said on the hotline, in edition 2026-3: the call, which opens a thread, and what continues it.
func HotlineKinds() []FormKind {
	kind := func(name, en, zh string, forms func() (face, body Form)) FormKind {
		return FormKind{Name: name, Lane: Hotline, Label: Words{en, zh}, forms: sync.OnceValues(forms)}
	}
	call := kind("hotline.call", "Call", "热线呼叫", func() (Form, Form) {
		return Form{
				line("level", "", "Level", "级别", "Choose between whom it is.", "请选呼叫级别。").of(callLevels()).must(),
				line("kind", "", "Kind of call", "呼叫类别", "Choose what it is about.", "请选呼叫事由类别。").of(CallKinds()).must(),
				line("request", "", "Request that is escalated", "所升级的请求", "Name the request's first statement.", "请填该请求首份陈述的编号。").typed(FieldCited),
				line("to_desk", "", "Desk that is called", "被呼叫联络点", "A desk of the other side.", "对方联络点。").typed(FieldCited),
				line("from_desk", "", "Desk that calls", "呼叫联络点", "A desk of this side.", "本方联络点。").typed(FieldCited),
				line("voice", "", "A conversation is wanted", "希望通话", "Say whether a conversation by telephone is wanted.", "请说明是否希望通话。").typed(FieldFlag),
			}, Form{
				line("sentence", "", "What it is about, in one sentence", "事由（一句话）", "Say in one sentence what is asked.", "请用一句话说明所求。").must(),
				line("caller", "", "Who calls", "呼叫人", "By function, not by name.", "请填职务，不填姓名。").must(),
				line("telephone", "", "Telephone", "电话", "Where to call back.", "回电号码。").typed(FieldTelephone),
			}
	}).with(callAgrees)
	call.Opens = true
	return []FormKind{
		call,
		kind("hotline.acknowledge", "Call answered", "已接听", func() (Form, Form) {
			return nil, Form{line("person", "", "Who answers", "接听人", "By function, not by name.", "请填职务，不填姓名。").must(), wordsField()}
		}),
		kind("hotline.reply", "Word on the hotline", "热线答复", func() (Form, Form) {
			return nil, Form{wordsField().must()}
		}),
		kind("hotline.hand_over", "Handed over", "已移交", func() (Form, Form) {
			return Form{line("to_desk", "", "Desk that takes over", "接手联络点", "A desk of this side.", "本方联络点。").typed(FieldCited)},
				Form{line("to", "", "Who takes over", "接手人", "Desk or officer, by function.", "联络点或人员（职务）。").must(), wordsField()}
		}),
		kind("hotline.stand_down", "Stand-down", "解除", func() (Form, Form) {
			return Form{line("outcome", "", "Outcome", "结果", "Choose the outcome.", "请选结果。").of(standDownOutcomes()).must()}, Form{wordsField()}
		}),
	}
}

// CallKinds returns what a call may be about.
func CallKinds() []Code {
	return codes(
		"incident", "Incident", "事件",
		"escalation", "Escalation of a request", "请求升级",
		"formal_inquiry", "Formal inquiry", "正式询问",
		"attribution_concern", "Concern about attribution", "归因关切",
		"misunderstanding", "Misunderstanding", "误解",
	)
}

func callLevels() []Code {
	return codes("desk", "Desk", "联络点", "director", "Director", "司局级", "vice_minister", "Vice-minister", "副部级", "minister", "Minister", "部级")
}

func standDownOutcomes() []Code {
	return codes("settled", "Settled", "已解决", "continued", "Continued elsewhere", "转其他渠道", "mistaken", "Called by mistake", "误呼",
		"withheld", "Withheld", "不予说明")
}

// callAgrees: a call that escalates a request names it. Any other may.
func callAgrees(face, _ []byte) error {
	var f map[string]jsontext.Value
	if err := envelope.Unmarshal(face, &f); err != nil {
		return err
	}
	if _, named := f["request"]; text(f["kind"]) == "escalation" && !named {
		return envelope.Refuse("face/request", "is missing: the call escalates a request")
	}
	return nil
}
