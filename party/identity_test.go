package party

import (
	"errors"
	"strings"
	"testing"

	"entente/envelope"
)

func TestIdentityRefuses(t *testing.T) {
	k := newKeys(t, "one")
	_, r := quorum(t, "one", 2, 3)
	good := identity(k, r)
	if err := good.Validate(envelope.Default()); err != nil {
		t.Fatalf("good identity: %v", err)
	}
	since := start - day
	tests := []struct {
		name   string
		change func(i *Identity)
		where  string
	}{
		{"format", func(i *Identity) { i.V = 2 }, "/v"},
		{"version zero", func(i *Identity) { i.Version = 0 }, "/version"},
		{"version over the limit", func(i *Identity) { i.Version = MaxVersions + 1 }, "/version"},
		{"prev in version 1", func(i *Identity) { i.Prev = &envelope.Hash{1} }, "/prev"},
		{"no prev in version 2", func(i *Identity) { i.Version = 2 }, "/prev"},
		{"no English name", func(i *Identity) { delete(i.Names, "en") }, "/names/en"},
		{"nine languages", func(i *Identity) {
			for _, l := range strings.Fields("de fr es it pt ru ja") {
				i.Names[l] = "Arvenia"
			}
		}, "/names"},
		{"not a language", func(i *Identity) { i.Names["English!"] = "Arvenia" }, "/names"},
		{"language twice", func(i *Identity) { i.Names["zh-Hant"], i.Names["zh-hant"] = "甲", "乙" }, "/names"},
		{"long name", func(i *Identity) { i.Names["zh"] = strings.Repeat("a", MaxName+1) }, "/names/zh"},
		{"no authority", func(i *Identity) { i.Authority = "" }, "/authority"},
		{"key storage", func(i *Identity) { i.KeyStorage = "paper" }, "/key_storage"},
		{"no suite", func(i *Identity) { i.Suites = nil }, "/suites"},
		{"suite twice", func(i *Identity) { i.Suites = append(i.Suites, i.Suites[0]) }, "/suites"},
		{"unknown suite", func(i *Identity) { i.Suites[0].Suite = "XX-9" }, "/suites/0"},
		{"missing scheme", func(i *Identity) { i.Suites[0].Sign = i.Suites[0].Sign[:1] }, "/suites/0"},
		{"transport", func(i *Identity) { i.Transport = []byte("key") }, "/transport"},
		{"long transport", func(i *Identity) { i.Transport = make([]byte, MaxTransport+1) }, "/transport"},
		{"log key", func(i *Identity) { i.Log.Ed25519 = nil }, "/log/ed25519"},
		{"witness key", func(i *Identity) { i.Witness.MLDSA44 = []byte{1} }, "/witness/mldsa44"},
		{"no recovery", func(i *Identity) { i.Recovery = Recovery{} }, "/recovery/keys"},
		{"seventeen recovery keys", func(i *Identity) { _, i.Recovery = quorum(t, "x", 2, 17) }, "/recovery/keys"},
		{"quorum of none", func(i *Identity) { i.Recovery.Need = 0 }, "/recovery/need"},
		{"quorum out of reach", func(i *Identity) { i.Recovery.Need = 4 }, "/recovery/need"},
		{"recovery key twice", func(i *Identity) { i.Recovery.Keys[1] = i.Recovery.Keys[0] }, ""},
		{"current key as recovery key", func(i *Identity) { i.Recovery.Keys[1] = k.suite.Sign[0] }, ""},
		{"unknown recovery algorithm", func(i *Identity) { i.Recovery.Keys[2].Alg = "rot13" }, "/recovery/keys/2/alg"},
		{"short recovery key", func(i *Identity) { i.Recovery.Keys[2].Key = []byte{1} }, "/recovery/keys/2/key"},
		{"no beginning", func(i *Identity) { i.NotBefore = 0 }, "/not_after"},
		{"ends before it begins", func(i *Identity) { i.NotAfter = i.NotBefore }, "/not_after"},
		{"compromise before the first version", func(i *Identity) { i.CompromiseSince = &since }, "/compromise_since"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			i := clone(good)
			test.change(&i)
			err := i.Validate(envelope.Default())
			var malformed *envelope.FormatError
			if !errors.As(err, &malformed) {
				t.Fatalf("got %v, want a format error", err)
			}
			if malformed.Where != test.where {
				t.Errorf("at %q, want %q: %v", malformed.Where, test.where, err)
			}
		})
	}
}

// Names that look like others, or hide what they say, are refused wherever a person would read them.
func TestBidiNames(t *testing.T) {
	k := newKeys(t, "one")
	_, r := quorum(t, "one", 2, 3)
	refused := map[string]string{
		"right-to-left override": "Arvenia \u202egro",
		"left-to-right override": "\u202dArvenia",
		"embedding":              "Ar\u202avenia",
		"pop":                    "Arvenia\u202c x",
		"isolate":                "Ar\u2066ven\u2069ia",
		"left-to-right mark":     "Arvenia\u200e.",
		"right-to-left mark":     "Arvenia\u200f.",
		"arabic letter mark":     "Ar\u061cvenia",
		"zero width space":       "Ar\u200bvenia",
		"byte order mark":        "Ar\ufeffvenia",
		"soft hyphen":            "Ar\u00advenia",
		"tag":                    "Arvenia\U000e0041x",
		"line separator":         "Ar\u2028venia",
		"newline":                "Ar\nvenia",
		"escape":                 "Ar\x1b[31mvenia",
		"no-break space":         "Ar\u00a0venia",
		"private use":            "Ar\ue000venia",
		"replacement":            "Ar\ufffdvenia",
		"trailing space":         "Arvenia ",
		"leading joiner":         "\u200dArvenia",
		"only spaces":            "  ",
		"bad UTF-8":              "Ar\xffvenia",
	}
	for what, name := range refused {
		t.Run(what, func(t *testing.T) {
			for _, change := range []func(i *Identity){
				func(i *Identity) { i.Names["en"] = name },
				func(i *Identity) { i.Names["ar"] = name },
				func(i *Identity) { i.Authority = name },
			} {
				i := clone(identity(k, r))
				change(&i)
				if err := i.Validate(envelope.Default()); err == nil {
					t.Errorf("%q was taken", name)
				}
				if _, err := Create(i, k.sign...); err == nil {
					t.Errorf("%q was signed", name)
				}
			}
		})
	}
	for _, name := range []string{"Republic of Arvenia", "阿维尼亚共和国", "جمهورية أرفينيا", "می\u200cخواهم", "Arvénie (Nord) – 2"} {
		i := clone(identity(k, r))
		i.Names["en"] = name
		if err := i.Validate(envelope.Default()); err != nil {
			t.Errorf("%q was refused: %v", name, err)
		}
	}
}

func TestCreateRefusesOtherSigners(t *testing.T) {
	k, other := newKeys(t, "one"), newKeys(t, "other")
	_, r := quorum(t, "one", 2, 3)
	tests := map[string][]envelope.Signer{
		"none":        nil,
		"one missing": k.sign[:1],
		"one twice":   {k.sign[0], k.sign[0]},
		"one foreign": {k.sign[0], other.sign[1]},
		"one more":    join(k.sign, other.sign[:1]),
	}
	for name, signers := range tests {
		if _, err := Create(identity(k, r), signers...); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	second := identity(k, r)
	second.Version, second.Prev = 2, &envelope.Hash{1}
	if _, err := Create(second, k.sign...); !errors.Is(err, ErrOutOfOrder) {
		t.Errorf("version 2: got %v", err)
	}
}
