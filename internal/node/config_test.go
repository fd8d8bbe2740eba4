package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"entente/internal/fault"
)

func noEnv(string) (string, bool) { return "", false }

func write(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ConfigFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestConfigPrecedence(t *testing.T) {
	dir := write(t, "# a comment\n\nlog_level = warn\ncheckpoint=20s\ndisk_reserve = 2G\nlisten = 127.0.0.1:1\n")
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"ENTENTE_LOG_LEVEL": "error", "ENTENTE_CHECKPOINT": "30s"}[name]
		return v, ok
	}
	c, err := LoadConfig(dir, map[string]string{"log_level": "debug"}, env)
	if err != nil {
		t.Fatal(err)
	}
	if c.LogLevel != slog.LevelDebug { // flag over environment over file
		t.Errorf("log level %v", c.LogLevel)
	}
	if c.Checkpoint != 30*time.Second { // environment over file
		t.Errorf("checkpoint %v", c.Checkpoint)
	}
	if c.DiskReserve != 2<<30 { // file over default
		t.Errorf("disk reserve %d", c.DiskReserve)
	}
	if c.LogFormat != "text" { // default
		t.Errorf("log format %q", c.LogFormat)
	}
}

func TestConfigWithoutAFile(t *testing.T) {
	c, err := LoadConfig(t.TempDir(), nil, noEnv)
	if err != nil || c.Checkpoint != 10*time.Second || c.DiskReserve != 512<<20 || c.Listen != "" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestConfigRefusals(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"an unknown name", "lisen = :1", `line 1: there is no setting "lisen"; did you mean "listen"?`},
		{"another unknown name", "\n\ndiskreserve = 1", `line 3: there is no setting "diskreserve"; did you mean "disk_reserve"?`},
		{"a name in capitals", "LISTEN = :1", "there is no setting"},
		{"no value", "listen", "write a setting as name = value"},
		{"twice", "log_level = info\nlog_level = warn", "line 2: log_level is set already, on line 1"},
		{"a port of zero", "listen = 127.0.0.1:0", "the port must be a number from 1 to 65535"},
		{"no port", "listen = 127.0.0.1", "it must be host:port"},
		{"plain http", "listen = :1\nendpoint = http://a:1", "it must be https://host:port"},
		{"a path", "listen = :1\nendpoint = https://a:1/x", "it must be https://host:port"},
		{"an endpoint where nothing listens", "endpoint = https://a:1", "set listen too"},
		{"another database", "database = mysql://x", "it must be a postgres:// URL"},
		{"another format", "log_format = xml", "it must be text or json"},
		{"too often", "checkpoint = 10ms", "from 1s to 1h"},
		{"no bytes", "disk_reserve = lots", "a number of bytes"},
		{"bytes below zero", "disk_reserve = -1", "a number of bytes"},
		{"too many bytes", "disk_reserve = 9223372036854775807G", "a number of bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := LoadConfig(write(t, c.text), nil, noEnv)
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.Public(err), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestEverySettingHasAUsableDefault(t *testing.T) {
	for _, s := range settings() {
		if err := s.set(&Config{}, s.preset); err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		if got := nearest(s.name); got != s.name {
			t.Errorf("nearest to %s is %s", s.name, got)
		}
	}
}

// FuzzParseConfig shows that what is read from a file is read the same when it is written again.
func FuzzParseConfig(f *testing.F) {
	f.Add("# comment\nlisten = 127.0.0.1:1\n\nlog_level=debug\n")
	f.Add("key_file = a = b")
	f.Add("listen")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := parseConfig("f", text)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("%v is not the reader's mistake", err)
			}
			return
		}
		var b strings.Builder
		for name, v := range values {
			b.WriteString(name + " = " + v.text + "\n")
		}
		again, err := parseConfig("f", b.String())
		if err != nil || len(again) != len(values) {
			t.Fatalf("%q became %v, %v", b.String(), again, err)
		}
		for name, v := range values {
			if again[name].text != v.text {
				t.Fatalf("%s: %q became %q", name, v.text, again[name].text)
			}
		}
	})
}
