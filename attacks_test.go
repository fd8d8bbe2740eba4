package entente

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"strings"
	"testing"
)

// attacks are the names of the tests that show what an attack comes to: in each, a table of attack, expected refusal and unchanged
// state. Some are in several packages, for what each of them refuses. XSSCorpus is missing, because there are no pages yet.
const attacks = `
	TamperOneByte ReplayRace ReorderGap Truncate MixParcels SurreptitiousForward InnerAddressee StripSig OneSuiteTwice
	SingleSuiteDowngrade GroundCommitment CrossingPairs StaleSeen ForkLog RewriteLeaf RollbackLog CosignDuringUpload
	DisputeVerifierOffline BackdateEntry ClockSkew WitnessOffline72h RestoreThenSend EpochAfterRefusal WitnessAmnesia GrepDiskForCanary EraseThenRebuild
	CompromiseSince RecoveryLockout AdminDeletesRow HotlineOvertakesEvidence SuspendUnion ZipBomb JSONDifferential PathNames
	BidiNames Flood SlowBody PairMITM TypeConfusion OldIdentityReplay StartupKAT PadClass ReserveCrashReuse`

// Every attack that the project promises to have thought of has its test.
func TestEveryAttackHasATest(t *testing.T) {
	found := map[string]bool{}
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				found[fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(attacks) {
		if !found["Test"+name] {
			t.Errorf("there is no Test%s", name)
		}
	}
}
