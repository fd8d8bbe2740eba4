package entente_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// The plan of the house: who may import whom, of ours. A package that is not named here fails the law: to add a room,
// add it here in the same change, and say why in the change's message.

var (
	treaty = []string{"envelope", "party", "handling", "statement", "parcel", "ledger", "proof", "stix"}
	rooms  = []string{
		"internal/exchange", "internal/assistance", "internal/casefile", "internal/hotline",
		"internal/intel", "internal/accord", "internal/dialogue", "internal/member", "internal/notice",
	}
	doors = []string{
		"internal/peer", "internal/taxii", "internal/mailgate", "internal/api", "internal/notify", "internal/console",
		"internal/witness",
	}
	// words are what everything above the treaty may speak: the kinds of failure, and who acts.
	words = []string{"internal/fault", "internal/actor"}
	// testOnly packages serve tests: no production code imports them, and what is barred from it is allowed to them.
	testOnly = []string{
		"envelope/envelopetest", "internal/store/storetest", "internal/housetest", "internal/testenv",
	}
)

// plan returns, for each package, the packages of ours that it may import.
func plan() map[string][]string {
	p := map[string][]string{
		".":         {}, // the package comment of the whole
		"envelope":  {},
		"stix":      {},
		"party":     {"envelope"},
		"handling":  {"envelope", "party"},
		"ledger":    {"envelope", "party"},
		"statement": {"envelope", "party", "handling"},
		"parcel":    {"envelope", "party", "handling", "ledger", "statement"},
		"proof":     {"envelope", "party", "handling", "ledger", "statement", "parcel"},

		"internal/fault":   {},
		"internal/actor":   {"party", "internal/fault"},
		"internal/keyring": join(treaty, []string{"internal/fault"}), // others get a signer or an opener as a value
		"internal/flow":    join(treaty, words, rooms),

		"internal/store":           {"internal/fault", "internal/flow", "internal/store/sqlstore", "internal/store/blobstore"},
		"internal/store/sqlstore":  join(treaty, words, rooms, []string{"internal/flow"}),
		"internal/store/blobstore": {"envelope", "internal/fault", "internal/flow"}, // what it keeps, flow describes

		"internal/demo":  join(treaty, []string{"internal/fault", "internal/node"}),
		"internal/bench": join(treaty, []string{"internal/fault", "internal/node"}),
		"cmd/entente":    join(treaty, []string{"internal/fault", "internal/node", "internal/demo", "internal/bench"}),

		"envelope/envelopetest":    {"envelope"},
		"internal/store/storetest": join(treaty, words, rooms, []string{"internal/flow"}),
		"internal/housetest":       join(treaty, words, rooms, []string{"internal/flow", "internal/keyring", "internal/store/sqlstore"}),
		"internal/testenv":         {},
	}
	for _, room := range rooms {
		p[room] = join(treaty, words) // never another room
	}
	for _, door := range doors {
		p[door] = join(treaty, words, rooms, []string{"internal/flow"}) // never another door, never the store
	}
	p["internal/node"] = join(treaty, words, rooms, doors, []string{
		"internal/keyring", "internal/flow", "internal/store", "internal/store/sqlstore", "internal/store/blobstore",
	})
	return p
}

// bar keeps an import, and the packages below it, out of production code except where the work is done that needs it.
type bar struct {
	imports string
	only    []string // the packages that may
	reason  string
}

func bars() []bar {
	edges := []string{"internal/node", "cmd/entente", "internal/demo", "internal/bench"}
	cellar := []string{"internal/store", "internal/store/sqlstore", "internal/store/blobstore"}
	sql := []string{"internal/store/sqlstore"}
	return []bar{
		{"testing", nil, "test code does not belong in the binary"},
		{"math/rand", nil, "its first version may be seeded by anybody: use crypto/rand, or math/rand/v2 where nothing depends on it"},
		{"log", nil, "a logger is handed in, as *slog.Logger"},
		{"encoding/json", nil, "it takes the last of two members silently and matches names without regard to case: use the codec of package envelope"},
		{"unsafe", nil, "nothing here needs it"},
		{"C", nil, "the binary is built without cgo"},
		{"database/sql", sql, "all SQL stands in one package"},
		{"github.com/jackc/pgx", sql, "all SQL stands in one package"},
		{"modernc.org/sqlite", sql, "all SQL stands in one package"},
		{"net/http", join([]string{"internal/peer", "internal/taxii", "internal/api", "internal/notify", "internal/console", "internal/mailgate", "internal/witness"}, edges[:2], []string{"internal/bench"}),
			"only doors speak HTTP"}, // bench, because a plain copy over HTTP is what it measures a transfer beside
		{"os", join([]string{"internal/keyring"}, cellar, edges), "files and the environment are the business of the edges and of the cellar"},
	}
}

// clocks are the packages that may ask what time it is; everything else is told.
func clocks() []string {
	return []string{"internal/node", "cmd/entente", "internal/demo", "internal/bench"}
}

const (
	module       = "entente"
	maxLines     = 800 // of a file that is not a test
	maxMainLines = 40  // of cmd/entente/main.go
)

var (
	emptyName  = regexp.MustCompile(`^(utils?|commons?|helpers?|types|core|shared|base|misc)$`)
	unfinished = regexp.MustCompile(`\b(TODO|FIXME|HACK)\b`)
)

func join(lists ...[]string) []string { return slices.Concat(lists...) }

// goFile is a parsed file of the module.
type goFile struct {
	name string // its path from the module's root
	dir  string // of its package; "." is the root
	test bool   // is it compiled for tests only?
	fset *token.FileSet
	ast  *ast.File
}

func (f goFile) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.name, f.fset.Position(n.Pos()).Line)
}

// readHouse parses every Go file of the module but those under testdata and folders whose names begin with a dot.
func readHouse(house fs.FS) ([]goFile, error) {
	var files []goFile
	err := fs.WalkDir(house, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := path.Base(name); base == "testdata" || name != "." && strings.HasPrefix(base, ".") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		source, err := fs.ReadFile(house, name)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		tree, err := parser.ParseFile(fset, name, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files = append(files, goFile{name, path.Dir(name), strings.HasSuffix(name, "_test.go"), fset, tree})
		return nil
	})
	return files, err
}

// breaches returns a sentence for each place where the law is broken, in the order of the files.
func breaches(house fs.FS) ([]string, error) {
	files, err := readHouse(house)
	if err != nil {
		return nil, err
	}
	var found []string
	packages := map[string][]goFile{}
	for _, f := range files {
		found = append(found, checkName(f)...)
		found = append(found, checkSkips(f)...)
		found = append(found, checkComments(f)...)
		if f.test {
			continue
		}
		packages[f.dir] = append(packages[f.dir], f)
		found = append(found, checkImports(f)...)
		found = append(found, checkDeclarations(f)...)
		found = append(found, checkClock(f)...)
		found = append(found, checkLength(f)...)
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		found = append(found, checkPackage(dir, packages[dir])...)
	}
	return found, nil
}

func checkPackage(dir string, files []goFile) (found []string) {
	if _, planned := plan()[dir]; !planned {
		found = append(found, fmt.Sprintf("%s: the package is not in the plan", dir))
	}
	var plaques []string
	for _, f := range files {
		if f.ast.Doc == nil {
			continue
		}
		plaques = append(plaques, f.name)
		want := "Package " + f.ast.Name.Name + " "
		if f.ast.Name.Name == "main" {
			want = "Command " + path.Base(dir) + " "
		}
		if !strings.HasPrefix(f.ast.Doc.Text(), want) {
			found = append(found, fmt.Sprintf("%s: the package comment does not begin with %q", f.name, want))
		}
	}
	if len(plaques) != 1 {
		found = append(found, fmt.Sprintf("%s: the package has %d package comments %v, want one", dir, len(plaques), plaques))
	}
	return found
}

func checkImports(f goFile) (found []string) {
	may := plan()[f.dir]
	for _, spec := range f.ast.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			found = append(found, fmt.Sprintf("%s: import %s: %v", f.at(spec), spec.Path.Value, err))
			continue
		}
		if ours, is := strings.CutPrefix(name, module+"/"); is {
			if !slices.Contains(may, ours) {
				found = append(found, fmt.Sprintf("%s: %s may not import %s", f.at(spec), f.dir, ours))
			}
			continue
		}
		if slices.Contains(testOnly, f.dir) {
			continue
		}
		for _, b := range bars() {
			if (name == b.imports || strings.HasPrefix(name, b.imports+"/")) && !allowedBelow(name) && !slices.Contains(b.only, f.dir) {
				found = append(found, fmt.Sprintf("%s: %s may not import %s: %s", f.at(spec), f.dir, name, b.reason))
			}
		}
	}
	return found
}

// allowedBelow names what stands below a barred import in the tree of the standard library and is another matter.
func allowedBelow(name string) bool {
	return name == "log/slog" || name == "math/rand/v2"
}

func checkDeclarations(f goFile) (found []string) {
	for _, decl := range f.ast.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.Name == "init" && d.Recv == nil {
				found = append(found, fmt.Sprintf("%s: init() acts before anybody asked: build it in package node", f.at(d)))
			}
		case *ast.GenDecl:
			if d.Tok != token.VAR {
				continue
			}
			for _, spec := range d.Specs {
				v := spec.(*ast.ValueSpec)
				if !constantVariable(d, v) {
					found = append(found, fmt.Sprintf("%s: the package variable %s can be changed: make it a function or hand it in", f.at(v), v.Names[0]))
				}
			}
		}
	}
	return found
}

// constantVariable says whether a package variable is one of those that nothing changes: a sentinel error, an embedded
// file, a compiled pattern, an option of the codec, or the assertion that a type has an interface's methods.
func constantVariable(d *ast.GenDecl, v *ast.ValueSpec) bool {
	if doc := cmp.Or(v.Doc, d.Doc); doc != nil {
		for _, line := range doc.List {
			if strings.HasPrefix(line.Text, "//go:embed ") {
				return true
			}
		}
	}
	for i, name := range v.Names {
		if name.Name == "_" {
			continue
		}
		if i >= len(v.Values) {
			return false
		}
		call, ok := v.Values[i].(*ast.CallExpr)
		if !ok {
			return false
		}
		switch selector(call.Fun) {
		case "regexp.MustCompile", "json.WithUnmarshalers":
		case "errors.New", "fault.New":
			if !strings.HasPrefix(name.Name, "Err") && !strings.HasPrefix(name.Name, "err") {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// selector returns "x.y" for such an expression, and otherwise nothing.
func selector(e ast.Expr) string {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := s.X.(*ast.Ident)
	if !ok {
		return ""
	}
	return x.Name + "." + s.Sel.Name
}

func checkClock(f goFile) (found []string) {
	if slices.Contains(clocks(), f.dir) || slices.Contains(testOnly, f.dir) {
		return nil
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		e, ok := n.(ast.Expr)
		if !ok {
			return true
		}
		switch name := selector(e); name {
		case "time.Now", "time.Since", "time.Until", "time.Sleep":
			found = append(found, fmt.Sprintf("%s: %s: time is handed in", f.at(n), name))
		}
		return true
	})
	return found
}

func checkLength(f goFile) (found []string) {
	lines := f.fset.File(f.ast.Pos()).LineCount()
	limit := maxLines
	if f.name == "cmd/entente/main.go" {
		limit = maxMainLines
	}
	if lines > limit {
		found = append(found, fmt.Sprintf("%s: %d lines, at most %d", f.name, lines, limit))
	}
	return found
}

// checkName refuses names that say nothing, of files and of each folder on the way to them.
func checkName(f goFile) (found []string) {
	for _, element := range strings.Split(f.name, "/") {
		element = strings.TrimSuffix(strings.TrimSuffix(element, ".go"), "_test")
		if emptyName.MatchString(element) {
			found = append(found, fmt.Sprintf("%s: the name %q says nothing: name what it is for", f.name, element))
		}
	}
	if name := strings.TrimSuffix(f.ast.Name.Name, "_test"); emptyName.MatchString(name) {
		found = append(found, fmt.Sprintf("%s: the package name %q says nothing", f.name, name))
	}
	return found
}

// checkSkips finds tests that skip on their own: only testenv may, because it fails instead where that is asked for.
func checkSkips(f goFile) (found []string) {
	if f.name == "internal/testenv/testenv.go" || !f.test && !slices.Contains(testOnly, f.dir) {
		return nil
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if s, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, s.Sel.Name) {
			found = append(found, fmt.Sprintf("%s: a test skips: say what is missing with testenv.Missing", f.at(n)))
		}
		return true
	})
	return found
}

func checkComments(f goFile) (found []string) {
	if f.name == "law_test.go" {
		return nil // it names the words that it looks for
	}
	for _, group := range f.ast.Comments {
		if word := unfinished.FindString(group.Text()); word != "" {
			found = append(found, fmt.Sprintf("%s: %s: do it, or leave it", f.at(group), word))
		}
	}
	return found
}

func TestLaw(t *testing.T) {
	found, err := breaches(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	for _, breach := range found {
		t.Error(breach)
	}
}

// TestDependenciesHaveReasons compares what is imported from others with the record of why: a module without a reason
// fails, and so does a reason without its module.
func TestDependenciesHaveReasons(t *testing.T) {
	record, err := os.ReadFile("docs/adr/0001-dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := readHouse(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{"honnef.co/go/tools": true} // a tool: nothing imports it
	var reasons []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(record), -1) {
		reasons = append(reasons, row[1])
	}
	for _, f := range files {
		for _, spec := range f.ast.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if host, _, _ := strings.Cut(name, "/"); !strings.Contains(host, ".") {
				continue
			}
			i := slices.IndexFunc(reasons, func(m string) bool { return name == m || strings.HasPrefix(name, m+"/") })
			if i < 0 {
				t.Errorf("%s: docs/adr/0001-dependencies.md has no reason for %s", f.at(spec), name)
				continue
			}
			used[reasons[i]] = true
		}
	}
	for _, m := range reasons {
		if !used[m] {
			t.Errorf("docs/adr/0001-dependencies.md gives a reason for %s, which nothing imports", m)
		}
	}
}

// TestPlan checks the plan itself: who is named in it is in it, nothing in production may import what is for tests, and
// no import points back up.
func TestPlan(t *testing.T) {
	p := plan()
	var below func(from, to string) bool
	below = func(from, to string) bool {
		return slices.ContainsFunc(p[from], func(next string) bool { return next == to || below(next, to) })
	}
	for name, may := range p {
		for _, target := range may {
			if _, planned := p[target]; !planned {
				t.Errorf("%s may import %s, which is not in the plan", name, target)
			}
			if slices.Contains(testOnly, target) {
				t.Errorf("%s may import %s, which is for tests only", name, target)
			}
			if below(target, name) {
				t.Errorf("%s and %s may import each other", name, target)
			}
		}
	}
}

// TestLawFindsBreaches plants one breach at a time in a small house.
func TestLawFindsBreaches(t *testing.T) {
	const plaque = "// Package party says who.\n"
	tests := []struct {
		name, file, source string
		want               string // in the only breach found; empty if there is none
	}{
		{"clean", "party/a.go", plaque + `package party
import ("errors"; "regexp"; "embed"; "log/slog"; "math/rand/v2"; "time"; "entente/envelope")
var (
	ErrGone = errors.New("gone")
	errPast = fault.New("past")
	pattern = regexp.MustCompile("x")
	option = json.WithUnmarshalers(nil)
	_ error = (*T)(nil)
)
//go:embed words
var words embed.FS
type T struct{}
func (t T) init() { var local = time.Second }`, ""},
		{"import up", "party/a.go", plaque + `package party; import "entente/statement"`, "party/a.go:2: party may not import statement"},
		{"room to room", "internal/hotline/a.go", "// Package hotline calls.\npackage hotline; import \"entente/internal/dialogue\"", "may not import internal/dialogue"},
		{"door to store", "internal/api/a.go", "// Package api serves.\npackage api; import \"entente/internal/store\"", "may not import internal/store"},
		{"node to test code", "internal/node/a.go", "// Package node builds.\npackage node; import \"entente/internal/testenv\"", "may not import internal/testenv"},
		{"unplanned", "internal/attic/a.go", "// Package attic keeps.\npackage attic", "internal/attic: the package is not in the plan"},
		{"no plaque", "party/a.go", "package party", "0 package comments"},
		{"wrong plaque", "party/a.go", "// This is who.\npackage party", "does not begin with \"Package party \""},
		{"wrong plaque of a command", "cmd/entente/a.go", "// Package main runs.\npackage main", "does not begin with \"Command entente \""},
		{"init", "party/a.go", plaque + "package party; func init() {}", "init() acts"},
		{"variable", "party/a.go", plaque + "package party; var table = map[string]int{}", "variable table can be changed"},
		{"variable without value", "party/a.go", plaque + "package party; var count int", "variable count can be changed"},
		{"sentinel that is not named as an error", "party/a.go", plaque + `package party; import "errors"; var gone = errors.New("gone")`, "variable gone can be changed"},
		{"variable made by a call", "party/a.go", plaque + `package party; import "sync"; var once = sync.OnceFunc(nil)`, "variable once can be changed"},
		{"testing", "party/a.go", plaque + `package party; import "testing"`, "may not import testing"},
		{"below testing", "party/a.go", plaque + `package party; import "testing/fstest"`, "may not import testing/fstest"},
		{"math/rand", "party/a.go", plaque + `package party; import "math/rand"`, "may not import math/rand: "},
		{"log", "party/a.go", plaque + `package party; import "log"`, "may not import log: "},
		{"encoding/json", "party/a.go", plaque + `package party; import "encoding/json"`, "may not import encoding/json: "},
		{"database", "internal/node/a.go", "// Package node builds.\npackage node; import \"database/sql\"", "all SQL stands in one package"},
		{"pgx", "internal/node/a.go", "// Package node builds.\npackage node; import \"github.com/jackc/pgx/v5/pgxpool\"", "all SQL stands in one package"},
		{"net/http", "internal/flow/a.go", "// Package flow acts.\npackage flow; import \"net/http\"", "only doors speak HTTP"},
		{"os", "internal/flow/a.go", "// Package flow acts.\npackage flow; import \"os\"", "may not import os: "},
		{"clock", "party/a.go", plaque + `package party; import "time"; func f() int64 { return time.Now().Unix() }`, "time.Now: time is handed in"},
		{"clock as a value", "party/a.go", plaque + `package party; import "time"; func f() func() time.Time { return time.Now }`, "time.Now: time is handed in"},
		{"long file", "party/a.go", plaque + "package party\n" + strings.Repeat("\n", maxLines), "802 lines, at most 800"},
		{"long main", "cmd/entente/main.go", "// Command entente runs.\npackage main\n" + strings.Repeat("\n", maxMainLines), "42 lines, at most 40"},
		{"empty file name", "party/helpers.go", plaque + "package party", `the name "helpers" says nothing`},
		{"empty file name of a test", "party/util_test.go", "package party", `the name "util" says nothing`},
		{"skip", "party/a_test.go", "package party; import \"testing\"; func TestA(t *testing.T) { t.Skip() }", "a test skips"},
		{"skip in test code", "internal/housetest/a.go", "// Package housetest runs.\npackage housetest; import \"testing\"; func f(t *testing.T) { t.Skipf(\"x\") }", "a test skips"},
		{"unfinished", "party/a.go", plaque + "package party\n// TODO: more\n", "party/a.go:3: TODO"},
		{"testdata", "party/testdata/a.go", "package nothing; func init() {}", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			found, err := breaches(fstest.MapFS{tt.file: {Data: []byte(tt.source)}})
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" && len(found) > 0 || tt.want != "" && (len(found) != 1 || !strings.Contains(found[0], tt.want)) {
				t.Errorf("found %q, want %q", found, tt.want)
			}
		})
	}
	t.Run("two plaques", func(t *testing.T) {
		found, err := breaches(fstest.MapFS{
			"party/a.go": {Data: []byte(plaque + "package party")},
			"party/b.go": {Data: []byte(plaque + "package party")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != 1 || !strings.Contains(found[0], "2 package comments [party/a.go party/b.go]") {
			t.Errorf("found %q, want two package comments", found)
		}
	})
	t.Run("empty package name", func(t *testing.T) {
		found, err := breaches(fstest.MapFS{"internal/util/a.go": {Data: []byte("// Package util is.\npackage util")}})
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != 3 { // the folder, the package, and that it is not in the plan
			t.Errorf("found %q, want three breaches", found)
		}
	})
	t.Run("source that does not parse", func(t *testing.T) {
		if _, err := breaches(fstest.MapFS{"party/a.go": {Data: []byte("package")}}); err == nil {
			t.Error("no error")
		}
	})
}
