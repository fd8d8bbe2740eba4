package assistance_test

import (
	"slices"
	"testing"

	"entente/internal/assistance"
	"entente/statement"
)

func TestExamineWarns(t *testing.T) {
	k, _ := statement.FormKindOf(statement.KindsEdition, "information.request")
	one := map[string]any{"type": "account", "value": "x", "zone": "UTC"}
	body := func(n int, channels ...any) []byte {
		return encoded(t, map[string]any{"identifiers": slices.Repeat([]any{one}, n), "other_channels": channels})
	}
	for _, c := range []struct {
		body []byte
		want int
	}{{body(50), 0}, {body(51), 1}, {body(1, map[string]any{"channel": "G7"}), 1}, {body(51, map[string]any{"channel": "G7"}), 2}} {
		if _, warnings := assistance.Examine(k, "routine", []byte(`{}`), c.body, 0); len(warnings) != c.want {
			t.Errorf("%q, want %d", warnings, c.want)
		}
	}
}

// A printed form has both languages, in the order of its fields, and shows only what the form declares.
func TestPrint(t *testing.T) {
	k, _ := statement.FormKindOf(statement.KindsEdition, "preservation.request")
	lines := assistance.Print(k.Body(), encoded(t, map[string]any{
		"facts": "It happened.", "mla_intended": true, "secret": "x", "categories": []string{"traffic", "content"},
		"identifiers": []any{map[string]any{"type": "ip", "value": "192.0.2.7", "zone": "UTC", "port": 443}},
	}))
	var got []string
	for _, l := range lines {
		got = append(got, string(rune('0'+l.Depth))+l.Label.EN+"/"+l.Label.ZH+": "+l.Value.EN+"/"+l.Value.ZH)
	}
	want := []string{
		"0Summary of the facts/案情摘要: It happened./It happened.",
		"0Categories of data 1/数据类别 1: Traffic data/流量数据", "0Categories of data 2/数据类别 2: Content data/内容数据",
		"0Identifiers 1/标识 1: /", "1Type/类型: IP address/IP 地址", "1Value/值: 192.0.2.7/192.0.2.7", "1Time zone/时区: UTC/UTC", "1Port/端口: 443/443",
		"0A request for mutual assistance will follow/将提出司法协助请求: Yes/是",
	}
	if !slices.Equal(got, want) {
		t.Errorf("printed %q\nwant %q", got, want)
	}
	if got := assistance.Print(k.Body(), nil); got != nil {
		t.Errorf("an erased body prints %+v", got)
	}
	if got := assistance.Print(k.Face(), encoded(t, map[string]any{"until": noon})); len(got) != 1 || got[0].Value.ZH != "2026-03-02 12:00:00 UTC" {
		t.Errorf("an instant prints %+v", got)
	}
}
