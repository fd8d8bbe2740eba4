package statement

// The closed lists of requests and of what is said about them, each code with its words in both languages.

// codes reads triples: name, English, Chinese.
func codes(triples ...string) []Code {
	var list []Code
	for i := 0; i+2 < len(triples); i += 3 {
		list = append(list, Code{triples[i], Words{triples[i+1], triples[i+2]}})
	}
	return list
}

// RefusalGrounds returns the grounds on which assistance may be refused: Budapest Convention, articles 25(4), 27(4) and 29(5);
// United Nations Convention against Cybercrime, article 40; and what practice adds.
func RefusalGrounds() []Code {
	return codes(
		"political_offence", "Political offence", "政治犯罪",
		"sovereignty", "Sovereignty", "主权",
		"national_security", "National security", "国家安全",
		"ordre_public", "Ordre public", "公共秩序",
		"essential_interests", "Other essential interests", "其他根本利益",
		"dual_criminality", "Dual criminality is lacking", "不符合双重犯罪原则",
		"domestic_law_prohibits", "Domestic law prohibits it", "国内法禁止",
		"not_competent", "Not competent", "无管辖权",
		"insufficient_information", "Insufficient information", "资料不足",
		"disproportionate", "Disproportionate", "不符合比例原则",
		"below_threshold_penalty", "Penalty below the threshold", "刑罚低于门槛",
		"ongoing_investigation", "Prejudice to an investigation", "妨碍正在进行的侦查",
		"person_safety", "Danger to a person", "危及人身安全",
		"discrimination_persecution", "Persecution or discrimination", "迫害或歧视",
		"human_rights", "Human rights", "人权",
		"personal_data_conditions", "Conditions of data protection are not met", "不符合个人资料保护条件",
		"immunity_privilege", "Immunity or privilege", "豁免或特权",
		"third_party_consent_missing", "A third party has not consented", "未获第三方同意",
		"ne_bis_in_idem", "Already tried", "一事不再理",
		"not_disclosed", "Ground not disclosed", "理由不予披露",
	)
}

// ImpossibleReasons returns why something cannot be executed.
func ImpossibleReasons() []Code {
	return codes(
		"no_data", "There are no such data", "无此数据",
		"data_expired", "The data are no longer held", "数据已不再保存",
		"not_found", "The person or system was not found", "未找到该人或该系统",
		"provider_abroad", "The provider is in another State", "服务提供者在他国",
		"technical", "Technical reasons", "技术原因",
		"other", "Other", "其他",
	)
}

// OffenceClasses returns the classes of offences.
func OffenceClasses() []Code {
	return codes(
		"illegal_access", "Illegal access", "非法访问",
		"illegal_interception", "Illegal interception", "非法截取",
		"data_interference", "Data interference", "数据干扰",
		"system_interference", "System interference", "系统干扰",
		"misuse_of_devices", "Misuse of devices", "滥用设备",
		"forgery", "Computer-related forgery", "计算机伪造",
		"fraud", "Computer-related fraud", "计算机诈骗",
		"csam", "Sexual abuse of children", "儿童性侵害",
		"ip_theft_for_commercial_gain", "Theft of intellectual property for commercial gain", "为商业利益窃取知识产权",
		"bec", "Business e-mail compromise", "商业电子邮件诈骗",
		"ransomware", "Ransomware", "勒索软件",
		"terrorism_facilitation", "Facilitation of terrorism", "协助恐怖主义",
		"firearms_online", "Firearms traded online", "网上贩卖枪支",
		"drugs_online", "Drugs traded online", "网上贩卖毒品",
		"money_laundering", "Money laundering", "洗钱",
		"other", "Other", "其他",
	)
}

// DataCategories returns the categories of data, the least intrusive first.
func DataCategories() []Code {
	return codes(
		"subscriber", "Subscriber information", "用户信息",
		"domain_registration", "Domain name registration", "域名注册信息",
		"traffic", "Traffic data", "流量数据",
		"content", "Content data", "内容数据",
		"other", "Other", "其他",
	)
}

func identifierTypes() []Code {
	return codes(
		"ip", "IP address", "IP 地址", "network", "IP network", "IP 网段", "domain", "Domain name", "域名", "url", "URL", "网址",
		"mail", "E-mail address", "电子邮件地址", "telephone", "Telephone number", "电话号码", "account", "Account", "账号",
		"device", "Device", "设备", "digest", "Digest of a file", "文件摘要", "wallet", "Wallet address", "钱包地址", "other", "Other", "其他",
	)
}

func personRoles() []Code {
	return codes("suspect", "Suspect", "嫌疑人", "victim", "Victim", "被害人", "witness", "Witness", "证人", "other", "Other", "其他")
}

func uses() []Code {
	return codes("intelligence", "Intelligence", "情报", "evidence", "Evidence", "证据", "both", "Intelligence and evidence", "情报与证据")
}

func requestStatuses() []Code {
	return codes("new", "New request", "新请求", "extension", "Extension of a previous request", "延长先前请求",
		"follow_up", "Follow-up to a previous request", "先前请求的后续", "correction", "Correction", "更正")
}

func mitigations() []Code {
	return codes("notify_victim", "Notify the victim", "通知被害人", "take_down", "Take down", "下线", "sinkhole", "Sinkhole", "导入陷坑",
		"disconnect", "Disconnect", "断开连接", "clean_up", "Clean up", "清理", "other", "Other", "其他")
}

func useConditions() []Code {
	return codes("confidential", "Keep confidential", "保密", "stated_use_only", "Only for the investigation stated", "仅限所述侦查",
		"no_court", "Not in judicial proceedings without consent", "未经同意不得用于司法程序",
		"no_onward", "No onward transfer without consent", "未经同意不得转交", "report_use", "Explain the use made", "说明使用情况",
		"other", "Other, in words", "其他（文字说明）")
}

func delayReasons() []Code {
	return codes("judicial_authorisation", "Judicial authorisation is awaited", "等待司法授权", "provider", "The provider has not answered", "服务提供者尚未答复",
		"volume", "Volume", "数据量大", "translation", "Translation", "翻译", "workload", "Workload", "工作量", "other", "Other", "其他")
}

func withdrawReasons() []Code {
	return codes("not_needed", "No longer needed", "不再需要", "obtained_elsewhere", "Obtained elsewhere", "已从他处取得",
		"mistaken", "Made by mistake", "误发", "confidentiality", "It cannot be kept confidential", "无法保密",
		"conditions", "The conditions cannot be met", "无法满足条件", "withheld", "Withheld", "不予说明")
}

func closeReasons() []Code {
	return codes("served", "It served its purpose", "已达目的", "partly_served", "It served in part", "部分达到目的",
		"not_served", "It did not serve its purpose", "未达目的", "withheld", "Withheld", "不予说明")
}

func timelinessGrades() []Code {
	return codes("in_time", "In time", "及时", "late_usable", "Late, still of use", "迟到但仍可用", "too_late", "Too late", "过迟")
}

func qualityGrades() []Code {
	return codes("complete", "Complete", "完整", "partial", "Partly what was asked", "部分符合请求", "unusable", "Not usable", "不可用")
}

func useMade() []Code {
	return codes("none", "None so far", "尚未使用", "lead", "A lead in the investigation", "侦查线索", "arrest", "Arrest", "逮捕",
		"proceedings", "Judicial proceedings", "司法程序", "mitigation", "Mitigation", "处置", "withheld", "Withheld", "不予说明")
}

func givenOrWithheld() []Code {
	return codes("given", "Given", "已说明", "withheld", "Withheld", "不予说明")
}

func mayNotify() []Code {
	return codes("may", "The victim may be told", "可以告知被害人", "must_not", "The victim must not be told yet", "暂不得告知被害人")
}

func formality() []Code {
	return codes("formal", "Formal request", "正式请求", "advance", "Advance copy, formal confirmation to follow", "先行副本，随后正式确认")
}
