package statement

import (
	"slices"
	"sync"
)

// The clauses that forms cite.
const (
	tcy10 = "T-CY(2018)10, "
	tcy11 = "T-CY(2018)11, "
	art29 = "Budapest Convention, article 29(2)"
)

const (
	maxProse = 64 << 10 // bytes of a field of prose
	maxLine  = 400      // bytes of a field of one line
)

// RequestKinds returns every kind of request of edition 2026-2. The order of the fields is that of the forms that the Cybercrime
// Convention Committee adopted on 9 July 2018, as far as they go.
func RequestKinds() []FormKind {
	kind := func(name, series, en, zh string, body func() Form, more ...func() Field) FormKind {
		return FormKind{Name: name, Lane: Assistance, Opens: true, Series: series, Label: Words{en, zh}, forms: sync.OnceValues(func() (Form, Form) {
			face := requestFace(series)
			for _, field := range more {
				face = append(face, field())
			}
			return face, body()
		})}
	}
	return []FormKind{
		kind("information.request", "IR", "Request for information", "信息请求", informationBody),
		kind("preservation.request", "PR", "Data preservation request", "数据保全请求", preservationBody, preservationUntil),
		kind("emergency.request", "ED", "Request for emergency disclosure", "紧急披露请求", emergencyBody),
		kind("mla.subscriber", "MS", "Mutual legal assistance: subscriber information", "司法协助：用户信息", mlaBody, mlaCopy),
		kind("mla.traffic", "MT", "Mutual legal assistance: traffic data", "司法协助：流量数据", mlaBody, mlaCopy),
		kind("mla.content", "MC", "Mutual legal assistance: content data", "司法协助：内容数据", mlaBody, mlaCopy),
		kind("mla.other", "MO", "Mutual legal assistance: other measures", "司法协助：其他措施", mlaBody, mlaCopy),
		kind("mitigation.request", "MR", "Request to mitigate malicious activity", "处置恶意活动请求", mitigationBody),
		kind("advice.request", "TA", "Request for technical advice", "技术咨询请求", questionBody),
		kind("law.request", "LI", "Request for legal information", "法律信息请求", questionBody),
		kind("person.request", "LP", "Request to locate a person", "查找人员请求", personBody),
		kind("investigation.request", "JI", "Proposal of a joint investigation", "联合侦查提议", investigationBody),
		kind("victim.request", "VN", "Notification of a victim", "被害人通知", victimBody, victimNotify),
	}
}

func line(name, source, en, zh, hintEN, hintZH string) Field {
	return Field{Name: name, Source: source, Type: FieldLine, Max: maxLine, Label: Words{en, zh}, Hint: Words{hintEN, hintZH}}
}

func prose(name, source, en, zh, hintEN, hintZH string) Field {
	f := line(name, source, en, zh, hintEN, hintZH)
	f.Type, f.Max = FieldProse, maxProse
	return f
}

func (f Field) must() Field { f.Required = true; return f }

// typed gives a field another type, without a length of its own.
func (f Field) typed(t FieldType) Field { f.Type, f.Max = t, 0; return f }

func (f Field) of(codes []Code) Field { f.Type, f.Max, f.Codes = FieldCode, 0, codes; return f }

func (f Field) many(n int) Field { f.Many = n; return f }

func (f Field) group(fields ...Field) Field {
	f.Type, f.Max, f.Fields = FieldGroup, 0, fields
	return f
}

// requestFace is what the faces of all requests hold: codes, times and references, no words.
func requestFace(series string) Form {
	return Form{
		{Name: "number", Source: tcy11 + "2", Type: FieldNumber, Required: true, Codes: []Code{{Name: series}},
			Label: Words{"Reference number", "编号"}, Hint: Words{"The node gives it; leave it out.", "由节点编定，请勿填写。"}},
		line("status", tcy11+"3", "Request status", "请求状态", "Say whether it is new, or what it continues.", "请说明是新请求还是延续先前请求。").of(requestStatuses()).must(),
		line("previous", tcy11+"3", "Previous request", "先前请求", "Name the first statement of the request that this one continues.", "请填先前请求首份陈述的编号。").typed(FieldCited),
		line("to_desk", tcy11+"4", "Requested desk", "被请求联络处", "Name the desk that is asked.", "请填被请求的联络处。").typed(FieldCited),
		line("from_desk", tcy11+"5", "Requesting desk", "请求联络处", "Name the desk that asks.", "请填提出请求的联络处。").typed(FieldCited),
		line("days", "", "Time zone of the requested desk", "被请求联络处时区", "The zone in which days are counted, such as Asia/Shanghai.", "计算天数所用的时区，例如 Asia/Shanghai。").typed(FieldZone).must(),
		line("always", "", "Desk open day and night", "联络处昼夜开放", "Say true where no clock waits for working days.", "如时限不因工作日暂停，请填 true。").typed(FieldFlag),
		line("confidential", "Budapest Convention, article 27(8)", "Fact of the request is confidential", "请求本身须保密", "Say true if even the fact of this request is to be kept confidential.", "如请求一事亦须保密，请填 true。").typed(FieldFlag),
		line("use", "", "Intended use", "预定用途", "Say what the answer is to be used for.", "请说明答复的用途。").of(uses()),
	}
}

func mlaCopy() Field {
	return line("copy", "Budapest Convention, article 25(3)", "Formal request or advance copy", "正式请求或先行副本",
		"Say whether this is the formal request, or an advance copy of it.", "请说明这是正式请求还是先行副本。").of(formality()).must()
}

func victimNotify() Field {
	return line("notify", "", "Telling the victim", "告知被害人", "Say whether the victim may be told.", "请说明可否告知被害人。").of(mayNotify()).must()
}

func preservationUntil() Field {
	return line("until", "Budapest Convention, article 29(7)", "Preservation asked for until", "请求保全至", "Give an instant at least sixty days ahead.", "请填至少六十日以后的时刻。").typed(FieldInstant)
}

func contact(withHours bool) []Field {
	fields := []Field{
		line("organisation", "", "Organisation", "机构", "Name the authority in full.", "请填机构全称。").must(),
		line("person", "", "Person in charge", "负责人", "Name who answers questions about this request.", "请填可答复询问者姓名。"),
		line("function", "", "Job title and function", "职务", "Say what the person's function is.", "请填职务。"),
		line("address", "", "Address", "地址", "Give the postal address.", "请填邮寄地址。"),
		line("telephone", "", "Telephone", "电话", "Write it like +86 10 5555 0100.", "请按 +86 10 5555 0100 的格式填写。").typed(FieldTelephone),
		line("mobile", "", "Mobile telephone", "手机", "Write it like +86 10 5555 0100.", "请按 +86 10 5555 0100 的格式填写。").typed(FieldTelephone),
		line("mail", "", "E-mail address", "电子邮件", "Write one address.", "请填一个地址。").typed(FieldMail),
		line("fax", "", "Fax", "传真", "Write it like +86 10 5555 0100.", "请按 +86 10 5555 0100 的格式填写。").typed(FieldTelephone),
	}
	if withHours {
		fields = append(fields,
			line("hours", "", "Office hours", "办公时间", "Such as: Monday to Friday, 09:00 to 18:00.", "例如：周一至周五 09:00 至 18:00。"),
			line("zone", "", "Time zone", "时区", "Such as Europe/Berlin.", "例如 Europe/Berlin。").typed(FieldZone).must(),
			line("reply_by_means", "", "Response preferred by means of", "希望的答复方式", "Say how the answer should come, if otherwise than here.", "如希望以其他方式答复，请说明。"))
	}
	return fields
}

// parties are sections 4 to 8 of both forms: who is asked, and who asks.
func parties() Form {
	return Form{
		line("language", "", "Language of this request", "请求所用语言", "Such as en or zh-Hans.", "例如 en 或 zh-Hans。").typed(FieldLanguage).must(),
		line("requested_authority", tcy11+"4", "Requested authority", "被请求机关", "Name the authority that is asked.", "请填被请求机关名称。").must(),
		line("requesting_authority", tcy11+"5; "+art29+"(a)", "Requesting authority", "请求机关", "Name the authority that asks, with its time zone.", "请填请求机关及其时区。").group(contact(true)...).must(),
		line("confirmation_contact", tcy11+"6", "Contact for additional confirmation", "补充确认联系人", "Name whom to ask if confirmation is needed.", "请填需要确认时的联系人。").group(contact(false)...),
		line("investigating_authority", tcy11+"7", "Investigative or operational authority in charge", "主办侦查机关", "Name it if it is another than the requesting authority.", "如与请求机关不同，请填写。").group(contact(false)...),
		line("prosecution", tcy10+"8", "Prosecution office or court in charge", "主管检察机关或法院", "Name offices, case numbers and decisions, where there are any.", "请填机关、案号及有关决定。").group(
			line("office", "", "Prosecution office", "检察机关", "Name the office.", "请填机关名称。"),
			line("office_case", "", "Its case number", "案号", "Give its number.", "请填案号。"),
			line("court", "", "Court", "法院", "Name the court.", "请填法院名称。"),
			line("court_case", "", "Its case number", "案号", "Give its number.", "请填案号。"),
			prose("decisions", "", "Decisions related to the request", "有关决定", "Name each decision and its date.", "请列明各决定及日期。")),
	}
}

func previous(name, source, en, zh string) Field {
	return line(name, source, en, zh, "Give date, reference and contacts, if there was one.", "如有，请填日期、编号及联系人。").group(
		line("date", "", "Date", "日期", "Such as 2026-03-01.", "例如 2026-03-01。").typed(FieldDate),
		line("reference", "", "Reference number", "编号", "Give the reference under which it ran.", "请填原编号。").must(),
		line("asked_by", "", "Authority that asked", "请求机关", "Name and contact.", "名称与联系方式。"),
		line("answered_by", "", "Authority that answered or executed", "答复或执行机关", "Name and contact.", "名称与联系方式。"),
		line("channel", "", "Channel used", "所用渠道", "Say by which channel it went.", "请说明所用渠道。"))
}

func offences() Field {
	return line("offences", art29+"(b)", "Offences", "罪行", "Describe the conduct plainly: it is compared by conduct, not by name (article 25(5)).", "请平实描述行为：比较的是行为而非罪名。").group(
		line("class", "", "Class", "类别", "Choose the nearest class.", "请选最接近的类别。").of(OffenceClasses()).must(),
		prose("conduct", "Budapest Convention, article 25(5)", "Conduct", "行为", "Say in plain words what was done.", "请用平实语言说明所为。").must(),
		line("provision", "", "Legal provision", "法律条文", "Name law and article.", "请填法律名称及条款。").must(),
		line("penalty", "", "Maximum penalty", "最高刑罚", "State the maximum penalty.", "请填最高刑罚。")).many(16)
}

func facts() Field {
	return prose("facts", art29+"(b)", "Summary of the facts", "案情摘要", "Sum up briefly what happened, where and when.", "请简要说明何时何地发生何事。").must()
}

func identifiers() Field {
	return line("identifiers", art29+"(c)", "Identifiers", "标识", "Give each identifier with its time and time zone; for a shared address, also the port.", "请逐一填写标识、时间与时区；共享地址须填端口。").group(
		line("type", "", "Type", "类型", "Choose the type.", "请选类型。").of(identifierTypes()).must(),
		Field{Name: "value", Type: FieldLine, Max: 2000, Required: true, Fits: "type", Label: Words{"Value", "值"}, Hint: Words{"Write it exactly, in the form of its type.", "请按类型准确填写。"}},
		Field{Name: "from", Type: FieldLocal, Label: Words{"From", "起"}, Hint: Words{"Such as 2026-03-01T09:30:00, in the zone below.", "例如 2026-03-01T09:30:00，以下述时区计。"}},
		Field{Name: "to", Type: FieldLocal, With: "from", After: "from", Label: Words{"To", "止"}, Hint: Words{"Not before its beginning.", "不得早于起始时间。"}},
		line("zone", "", "Time zone", "时区", "The zone in which these times are meant, such as UTC.", "上述时间所用时区，例如 UTC。").typed(FieldZone).must(),
		Field{Name: "port", Type: FieldWhole, Max: 65535, Label: Words{"Port", "端口"}, Hint: Words{"The source port, 0 to 65535.", "源端口，0 至 65535。"}},
		line("provider", "", "Service provider", "服务提供者", "Name who holds the data.", "请填数据持有者。")).many(500)
}

func dataAsked(source string) Form {
	return Form{
		line("categories", source, "Categories of data", "数据类别", "Choose every category that is meant.", "请选所涉全部类别。").of(DataCategories()).many(5).must(),
		prose("data", source, "Data", "数据", "Describe the data as narrowly as you can.", "请尽可能具体描述数据。").must(),
	}
}

func relation() Field {
	return prose("relation", art29+"(c)", "Relation of the data to the offence", "数据与罪行的关系", "Say how the data relate to the offence.", "请说明数据与罪行的关系。").must()
}

func custodian() Field {
	return prose("custodian", art29+"(d)", "Custodian of the data, or location of the system", "数据保管人或系统所在地", "Give all that is known; say so if nothing is.", "请填已知的一切；如不知，请说明。").must()
}

func persons() Field {
	return line("persons", "", "Persons and entities", "人员与实体", "Name each with its part in the matter.", "请逐一填写及其角色。").group(
		line("role", "", "Role", "角色", "Choose the role.", "请选角色。").of(personRoles()).must(),
		line("name", "", "Name", "姓名", "In its own script; add a transliteration in brackets.", "请用原文，并在括号内附转写。").must(),
		line("born", "", "Date of birth", "出生日期", "Such as 1980-03-01.", "例如 1980-03-01。").typed(FieldDate),
		line("nationality", "", "Nationality", "国籍", "Name the State.", "请填国家。"),
		prose("details", "", "Other details", "其他", "What helps to tell the person apart.", "有助识别该人的其他信息。")).many(64)
}

// closing are the fields with which every form ends.
func closing() Form {
	return Form{
		prose("urgency_reason", "", "Reason for the urgency", "紧急理由", "Say why it cannot wait; needed unless the request is routine.", "请说明为何不能等待；例行请求可不填。"),
		prose("confidentiality", "Budapest Convention, article 27(8)", "Confidentiality", "保密", "Say what must be kept from whom: user, provider, public.", "请说明须对何人保密：用户、提供者或公众。"),
		prose("procedures", "Budapest Convention, article 27(3)", "Procedures to follow", "应遵循的程序", "Name formalities that the evidence needs.", "请填证据所需手续。"),
		line("other_channels", "", "Other channels already used", "已使用的其他渠道", "Name every channel by which this matter was sent before, so that it is not done twice.", "请填此事此前经何渠道送达，以免重复。").group(
			line("channel", "", "Channel", "渠道", "Such as I-24/7, SIENA, G7, liaison officer.", "例如 I-24/7、SIENA、G7、联络官。").must(),
			line("reference", "", "Reference", "编号", "Its reference there.", "该渠道编号。"),
			line("date", "", "Date", "日期", "Such as 2026-03-01.", "例如 2026-03-01。").typed(FieldDate)).many(16),
		prose("remarks", "", "Other information", "其他说明", "Whatever else helps.", "其他有助事项。"),
	}
}

func informationBody() Form {
	return slices.Concat(parties(), Form{offences(), facts(),
		prose("questions", "Directive (EU) 2023/977, article 5", "Information asked for", "所需信息", "Say exactly what is asked.", "请准确说明所需信息。").must(),
		prose("grounds", "Directive (EU) 2023/977, article 5", "Why it is believed to be there", "认为对方持有的理由", "Say why the requested side should have it.", "请说明为何被请求方应持有。").must(),
		identifiers(), persons()}, closing())
}

func preservationBody() Form {
	return slices.Concat(parties(), Form{
		previous("previous_preservation", tcy11+"3", "Previous preservation request", "先前保全请求"),
		prose("legal_basis", tcy10+"11", "Domestic legal basis", "国内法依据", "Name the law, where it applies.", "如适用，请填法律依据。"),
		offences().must(), facts()}, dataAsked(art29+"(c)"), Form{identifiers(), relation(), custodian(),
		prose("necessity", art29+"(e)", "Necessity of the preservation", "保全的必要性", "Say why the data would otherwise be lost or changed.", "请说明数据为何可能丢失或被更改。").must(),
		Field{Name: "mla_intended", Source: art29 + "(f)", Type: FieldFlag, Required: true, True: true, Label: Words{"A request for mutual assistance will follow", "将提出司法协助请求"},
			Hint: Words{"Confirm with true that a request for mutual assistance is intended.", "请填 true 确认拟提出司法协助请求。"}},
		line("mla_by", "", "It is intended by", "拟提出日期", "Such as 2026-05-01.", "例如 2026-05-01。").typed(FieldDate)}, closing())
}

func emergencyBody() Form {
	const source = "Second Additional Protocol, article 9(3)"
	return slices.Concat(parties(), Form{offences().must(), facts(),
		prose("emergency", source, "Facts that show the emergency", "紧急情况的事实", "Show the significant and imminent risk to a person's life or safety, and how the data relate to it.", "请说明对人身生命或安全的重大迫近危险，以及数据与之的关系。").must(),
		line("determined_by", source, "Who determined the emergency", "认定紧急情况者", "Name authority and function.", "请填机关与职务。").must(),
		line("provider", source, "Service provider", "服务提供者", "Name and address of who holds the data.", "数据持有者名称与地址。").must()},
		dataAsked(source), Form{identifiers().must(), relation(),
			line("oral_at", "Second Additional Protocol, article 9(4)", "Taken orally before", "此前已口头提出", "When it was taken by voice, if it was.", "如曾口头提出，请填时间。").typed(FieldLocal)}, closing())
}

func mlaBody() Form {
	return slices.Concat(parties(), Form{
		previous("previous_request", tcy10+"9", "Previous request for mutual assistance", "先前司法协助请求"),
		previous("previous_preservation", tcy10+"10", "Previous preservation request", "先前保全请求"),
		prose("legal_basis", tcy10+"11", "Domestic legal basis", "国内法依据", "Name the law under which this may be asked.", "请填提出请求的法律依据。").must(),
		offences().must(), facts()}, dataAsked("Budapest Convention, article 31"), Form{identifiers(), persons(), relation(), custodian(),
		prose("purpose", "Budapest Convention, article 28(2)", "Purpose", "目的", "Say for which investigation or proceedings it is needed.", "请说明用于何种侦查或程序。").must(),
		line("confirmation_follows", "Budapest Convention, article 25(3)", "Formal confirmation will follow by", "正式确认日期", "For an advance copy: by which date.", "如为先行副本，请填日期。").typed(FieldDate)}, closing())
}

func mitigationBody() Form {
	const norm = "A/70/174, paragraph 13(h)"
	return slices.Concat(parties(), Form{facts(),
		prose("harm", norm, "Harm", "损害", "Say whom and what it harms; name critical infrastructure.", "请说明受害者与损害，并指明关键基础设施。").must(),
		identifiers().must(),
		line("asked", norm, "What is asked", "请求的措施", "Choose every measure that is asked.", "请选所请求的全部措施。").of(mitigations()).many(6).must(),
		prose("evidence", "", "Evidence", "证据", "Say what shows it; attach logs as files.", "请说明依据；日志作为附件。").must(),
		line("window", "", "Time window", "时间范围", "When it must be done to be of use.", "何时完成方有效。")}, closing())
}

func questionBody() Form {
	return slices.Concat(parties(), Form{
		prose("questions", "Budapest Convention, article 35(1)", "Questions", "问题", "Number the questions.", "请逐条编号。").must(),
		prose("context", "", "Context", "背景", "What the answer is needed for.", "所需答复的背景。")}, closing())
}

func personBody() Form {
	return slices.Concat(parties(), Form{offences().must(), facts(), persons().must(),
		prose("last_known", "Budapest Convention, article 35(1)(c)", "Last known whereabouts", "最后已知下落", "What is known, with dates.", "已知情况及日期。").must(),
		prose("caution", "", "Caution", "注意事项", "What officers should be warned of.", "应提醒执行人员的事项。")}, closing())
}

func investigationBody() Form {
	return slices.Concat(parties(), Form{offences().must(), facts(),
		prose("proposal", "Second Additional Protocol, article 12", "Proposal", "提议", "Scope, members, place and duration.", "范围、成员、地点与期限。").must(),
		prose("agreement", "", "Basis of the team", "工作依据", "What agreement it would rest on.", "拟依据的协议。")}, closing())
}

func victimBody() Form {
	return slices.Concat(parties(), Form{facts(), identifiers(), persons(),
		prose("message", "", "What the victim should know", "拟告知内容", "Write it so that it can be passed on.", "请写成可直接转告的文字。").must()}, closing())
}
