package statement

import (
	"slices"
	"sync"

	"entente/envelope"
)

// ReplyKinds returns every kind that continues a request, in edition 2026-2: first what the requested party says, then the asker.
func ReplyKinds() []FormKind {
	kind := func(name, en, zh string, forms func() (face, body Form)) FormKind {
		return FormKind{Name: name, Lane: Assistance, Label: Words{en, zh}, forms: sync.OnceValues(forms)}
	}
	return []FormKind{
		kind("request.acknowledge", "Acknowledgement", "收悉确认", func() (Form, Form) {
			return Form{
					line("next", "Directive 2014/41/EU, annex B", "Next word by", "下次答复时间", "When the requesting side will hear next.", "请填下次答复时间。").typed(FieldInstant),
				}, Form{
					line("reference", "", "Own reference", "本方编号", "The number under which it runs here.", "本方案号。").must(),
					line("authority", "Directive 2014/41/EU, annex B", "Handling authority", "承办机关", "Who has it now.", "现由何机关承办。").must(),
					line("contact", "", "Contact", "联系人", "Whom to ask, by function.", "可询问者（职务）。"), wordsField(),
				}
		}),
		kind("decision.accept", "Accepted", "接受", func() (Form, Form) {
			return nil, Form{wordsField()}
		}),
		kind("decision.condition", "Accepted with conditions", "附条件接受", func() (Form, Form) {
			return Form{
				line("conditions", "Budapest Convention, article 28(2)", "Conditions", "条件", "Choose every condition.", "请选全部条件。").of(useConditions()).many(6).must(),
			}, Form{wordsField()}
		}).with(conditionsAgree),
		kind("decision.transmit", "Transmitted to the competent authority", "已移送主管机关", func() (Form, Form) {
			return nil, Form{line("authority", "Budapest Convention, article 27(9)(c)", "Competent authority", "主管机关", "Who has it now.", "现由何机关负责。").must(),
				line("contact", "", "Contact", "联系方式", "How to reach it.", "联系方式。"), wordsField()}
		}),
		kind("decision.postpone", "Postponed", "推迟", func() (Form, Form) {
			return Form{
				until("Budapest Convention, article 27(5)", "Postponed until", "推迟至", "When it will be taken up again.", "何时恢复处理。"),
			}, Form{prose("reasons", "Budapest Convention, article 27(7)", "Reasons", "理由", "Reasons shall be given.", "应说明理由。").must()}
		}),
		kind("decision.refuse", "Refused", "拒绝", refusal).with(refusalAgrees),
		kind("decision.refuse_part", "Refused in part", "部分拒绝", refusal).with(refusalAgrees),
		kind("decision.impossible", "Cannot be executed", "无法执行", func() (Form, Form) {
			return Form{
				line("reason", "Budapest Convention, article 27(7)", "Reason", "原因", "Choose the reason.", "请选原因。").of(ImpossibleReasons()).must(),
			}, Form{wordsField()}
		}),
		kind("decision.delay", "Delayed", "延迟", func() (Form, Form) {
			return Form{
				line("reason", "Budapest Convention, article 27(7)", "Reason", "原因", "Choose the reason.", "请选原因。").of(delayReasons()).must(),
				until("", "New date", "新时间", "When the answer is expected now.", "现预计的答复时间。"),
			}, Form{wordsField()}
		}),
		kind("clarification.ask", "Clarification needed", "需要澄清", func() (Form, Form) {
			return nil, Form{prose("questions", "", "Questions", "问题", "Say exactly what is missing.", "请准确说明所缺内容。").must()}
		}),
		kind("preservation.preserved", "Preserved", "已保全", func() (Form, Form) {
			return Form{
				until("Budapest Convention, article 29(7)", "Preserved until", "保全至", "At least sixty days ahead at first, and later than before at an extension.", "首次不少于六十日；延长时应晚于先前时间。"),
			}, Form{wordsField()}
		}),
		kind("preservation.path", "Another State in the path", "传输路径涉及他国", func() (Form, Form) {
			return nil, Form{line("provider", "Budapest Convention, article 30", "Provider in another State", "他国服务提供者", "Name provider and State.", "请填服务提供者与国家。").must(),
				prose("path", "Budapest Convention, article 30", "Path of the communication", "通信路径", "Give traffic data enough to identify it; more as a file.", "请提供足以识别路径的流量数据。").must()}
		}),
		kind("preservation.ineffective", "Preservation would not serve", "保全无法奏效", func() (Form, Form) {
			return Form{
				line("reason", "Budapest Convention, article 29(6)", "Reason", "原因", "Choose the reason.", "请选原因。").must().of(codes(
					"availability", "It will not ensure that the data are there", "不能确保数据可用",
					"confidentiality", "It would threaten confidentiality", "将危及保密", "prejudice", "It would prejudice the investigation", "将妨碍侦查")),
			}, Form{wordsField()}
		}),
		kind("status.update", "Status", "进展", func() (Form, Form) {
			return nil, Form{wordsField().must()}
		}),
		kind("answer.partial", "Partial answer", "部分答复", func() (Form, Form) {
			return nil, Form{wordsField().must()}
		}),
		kind("answer.complete", "Answer", "答复", func() (Form, Form) {
			return nil, Form{wordsField().must()}
		}),

		kind("clarification.answer", "Clarification", "澄清", func() (Form, Form) {
			return Form{cites("Question", "问题")}, Form{prose("answers", "", "Answers", "答复", "Answer each question by its number.", "请按编号逐一答复。").must()}
		}),
		kind("conditions.agree", "Conditions agreed to", "同意条件", func() (Form, Form) {
			return Form{cites("Conditions", "条件")}, Form{wordsField()}
		}),
		kind("conditions.decline", "Conditions declined", "不同意条件", func() (Form, Form) {
			return Form{cites("Conditions", "条件")}, Form{wordsField()}
		}),
		kind("preservation.proceed", "Preserve nevertheless", "仍请保全", func() (Form, Form) {
			return Form{cites("Notice", "通知")}, Form{wordsField()}
		}),
		kind("preservation.extend", "Extension asked for", "请求延长保全", func() (Form, Form) {
			return Form{
				until("T-CY(2018)11, 3", "Until", "至", "A time after that until which the data are preserved.", "应晚于现保全期限。"),
			}, Form{prose("necessity", art29+"(e)", "Necessity", "必要性", "Say why longer.", "请说明为何需延长。").must()}
		}),
		kind("preservation.link", "Request for mutual assistance submitted", "已提出司法协助请求", func() (Form, Form) {
			return Form{
				line("request", "Budapest Convention, article 29(7)", "That request", "该请求", "Name the first statement of the request for mutual assistance.", "请填司法协助请求首份陈述的编号。").typed(FieldCited).must(),
			}, Form{wordsField()}
		}),
		kind("preservation.release", "Data released from preservation", "解除保全", func() (Form, Form) {
			return nil, Form{wordsField()}
		}),
		kind("status.query", "Query of the status", "查询进展", func() (Form, Form) {
			return nil, Form{wordsField()}
		}),
		kind("request.correct", "Correction", "更正", func() (Form, Form) {
			return nil, Form{prose("corrections", "", "Corrections", "更正内容", "Name each field and what it should say.", "请逐项写明栏目与正确内容。").must()}
		}),
		kind("request.withdraw", "Withdrawn", "撤回", func() (Form, Form) {
			return Form{
				line("reason", "", "Reason", "原因", "Choose the reason.", "请选原因。").of(withdrawReasons()).must(),
			}, Form{wordsField()}
		}),
		kind("request.contest", "Contested", "异议", func() (Form, Form) {
			return Form{cites("What is contested", "异议所涉陈述")}, Form{prose("reasons", "", "Reasons", "理由", "Say why, without prejudice.", "请说明理由，不影响任何立场。").must()}
		}),
		kind("answer.confirm", "Answer received", "答复收妥", func() (Form, Form) {
			return Form{cites("Answer", "答复")}, Form{wordsField()}
		}),
		kind("answer.feedback", "Feedback", "反馈", func() (Form, Form) {
			return Form{cites("Answer", "答复"),
				line("timeliness", "", "Timeliness", "及时性", "Choose one.", "请选一项。").of(timelinessGrades()).must(),
				line("quality", "", "Quality", "质量", "Choose one.", "请选一项。").of(qualityGrades()).must(),
				line("use", "Budapest Convention, article 28(4)", "Use made", "使用情况", "Choose every use.", "请选全部使用情况。").of(useMade()).many(6).must()}, Form{wordsField()}
		}),
		kind("request.close", "Closed", "结案", func() (Form, Form) {
			return Form{
				line("outcome", "", "Outcome", "结果", "Choose the outcome.", "请选结果。").of(closeReasons()).must(),
			}, Form{wordsField()}
		}),
	}
}

func refusal() (Form, Form) {
	return Form{
		line("ground", "Budapest Convention, articles 27(4) and 29(5)", "Ground", "理由类别", "Choose the ground.", "请选理由。").of(RefusalGrounds()).must(),
		line("reasons", "Budapest Convention, article 27(7)", "Reasons", "说明", "Say whether reasons are given or withheld.", "请说明是否给出理由。").of(givenOrWithheld()).must(),
	}, Form{prose("words", "Budapest Convention, article 27(7)", "Reasons in words", "理由", "Give the reasons, unless they are withheld; say what is refused, if not all is.", "请说明理由，不予披露者除外；如非全部拒绝，请说明所拒部分。")}
}

func wordsField() Field {
	return prose("words", "", "In words", "文字说明", "Say what else there is to say.", "请填其他说明。")
}

func cites(en, zh string) Field {
	return line("cites", "", en, zh, "Name the statement that this one is about.", "请填所涉陈述的编号。").typed(FieldCited).must()
}

func until(source, en, zh, hintEN, hintZH string) Field {
	return line("until", source, en, zh, hintEN, hintZH).typed(FieldInstant).must()
}

// refusalAgrees: reasons that the face says are given stand in the body, and reasons that are withheld do not.
func refusalAgrees(face, body []byte) error {
	var f struct {
		Ground  string `json:"ground"`
		Reasons string `json:"reasons"`
	}
	var b struct {
		Words string `json:"words"`
	}
	if err := envelope.Unmarshal(face, &f); err != nil {
		return err
	}
	if err := envelope.Unmarshal(body, &b); err != nil {
		return err
	}
	switch {
	case f.Reasons == "given" && b.Words == "":
		return envelope.Refuse("body/words", "is missing: the face says that reasons are given")
	case f.Reasons == "withheld" && b.Words != "":
		return envelope.Refuse("body/words", "stands here, while the face says that reasons are withheld")
	}
	return nil
}

// conditionsAgree: a condition of another kind needs words.
func conditionsAgree(face, body []byte) error {
	var f struct {
		Conditions []string `json:"conditions"`
	}
	var b struct {
		Words string `json:"words"`
	}
	if err := envelope.Unmarshal(face, &f); err != nil {
		return err
	}
	if err := envelope.Unmarshal(body, &b); err != nil {
		return err
	}
	if slices.Contains(f.Conditions, "other") && b.Words == "" {
		return envelope.Refuse("body/words", "is missing: a condition stands in words")
	}
	return nil
}
