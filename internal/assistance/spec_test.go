package assistance_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"entente/internal/assistance"
)

// The specification's tables are those of the code.
func TestSpecification(t *testing.T) {
	data, err := os.ReadFile("../../docs/spec/assistance.md")
	if err != nil {
		t.Fatal(err)
	}
	code := func(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }
	var rows []string
	for _, k := range assistance.Kinds() {
		if k.When == nil {
			if !strings.Contains(string(data), "`"+k.Name+"`") {
				t.Errorf("the specification does not name %s", k.Name)
			}
			continue
		}
		var statuses []string
		for _, s := range k.When {
			statuses = append(statuses, string(s))
		}
		makes, of := "", map[string]string{"": "any", "preservation": "preservation", "other": "other than preservation"}[k.Only]
		if k.Makes != "" {
			makes = "`" + string(k.Makes) + "`"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s | %s |", k.Name, k.By, code(statuses), makes, of))
	}
	for _, c := range assistance.Crossings() {
		rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s |", code(c.Requesting), code(c.Requested), c.Prevails, c.Outcome))
	}
	for _, row := range rows {
		if !strings.Contains(string(data), "\n"+row+"\n") {
			t.Errorf("the specification lacks the row\n%s", row)
		}
	}
}
