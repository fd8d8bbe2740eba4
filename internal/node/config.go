package node

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"entente/internal/fault"
	"entente/internal/flow"
	"entente/internal/witness"
)

// Names of what lies in a data directory.
const (
	ConfigFile  = "entente.conf"
	SocketFile  = "entente.sock"
	keyringFile = "keyring"
	recoveryDir = "recovery"
)

// envPrefix stands before a setting's name, in capitals, in the environment.
const envPrefix = "ENTENTE_"

// Config is the settings of a node. A setting is taken from the first of these that has it: a flag, the environment
// (ENTENTE_ and the setting's name in capitals), the file entente.conf in the data directory, the default.
type Config struct {
	Data        string        // the data directory
	Listen      string        // where peers reach this node: "127.0.0.1:7443"; empty: they cannot
	Endpoint    string        // what peers are told: "https://arvenia.localhost:7443"; empty: they cannot reach us
	Database    string        // URL of a PostgreSQL database; empty: SQLite in the data directory
	API         string        // a TCP address for the API over HTTPS; empty: it is on the socket alone
	Operations  string        // a TCP address for health and metrics; empty: they are on the socket alone
	KeyFile     string        // the file that opens the keyring; empty: a passphrase does
	LogFormat   string        // text | json
	LogLevel    slog.Level    // debug | info | warn | error
	Checkpoint  time.Duration // how often ledger heads are signed
	DiskReserve int64         // bytes that must stay free on the disk
	LinkQuota   int64         // bytes that the files of a peer may take up, on each link; 0 for no bound

	APICertificate, APIKey string // PEM files; empty: a certificate is made

	Witnesses      []witness.Witness // third parties that are asked to cosign ledger heads
	WitnessEvery   time.Duration     // how often
	WitnessTimeout time.Duration     // of one request to a witness
}

// setting is one line of the table of settings.
type setting struct {
	name   string
	usage  string
	preset string
	set    func(*Config, string) error
}

// settings is every setting there is, in the order of the documentation. The data directory is not among them: the
// file lies in it.
func settings() []setting {
	return []setting{
		{"listen", "TCP address where peers reach this node, such as 0.0.0.0:7443; empty to be reached by none", "",
			func(c *Config, v string) error { c.Listen = v; return checkAddress(v) }},
		{"endpoint", "URL that peers are told, such as https://entente.example:7443; empty to be reached by none", "",
			func(c *Config, v string) error { c.Endpoint = v; return checkEndpoint(v) }},
		{"database", "URL of a PostgreSQL database; empty for SQLite in the data directory", "",
			func(c *Config, v string) error { c.Database = v; return checkDatabase(v) }},
		{"api", "TCP address for the API over HTTPS, such as 0.0.0.0:8443, for members with tokens; empty for the socket alone", "",
			func(c *Config, v string) error { c.API = v; return checkAddress(v) }},
		{"api_certificate", "file with the certificate of that address, as PEM; empty to make one, whose fingerprint the log tells", "",
			func(c *Config, v string) error { c.APICertificate = v; return nil }},
		{"api_key", "file with the certificate's key, as PEM", "",
			func(c *Config, v string) error { c.APIKey = v; return nil }},
		{"operations", "TCP address for /healthz, /readyz and /metrics, such as 127.0.0.1:9443; empty for the socket alone", "",
			func(c *Config, v string) error { c.Operations = v; return checkAddress(v) }},
		{"key_file", "file that opens the keyring; empty to ask for a passphrase", "",
			func(c *Config, v string) error { c.KeyFile = v; return nil }},
		{"log_format", "text or json", "text",
			func(c *Config, v string) error { c.LogFormat = v; return oneOf(v, "text", "json") }},
		{"log_level", "debug, info, warn or error", "info",
			func(c *Config, v string) error { return c.LogLevel.UnmarshalText([]byte(v)) }},
		{"checkpoint", "how often ledger heads are signed, from 1s to 1h", "10s",
			func(c *Config, v string) (err error) { c.Checkpoint, err = between(v, "1s", "1h"); return err }},
		{"disk_reserve", "bytes that must stay free on the disk; K, M and G may follow the number", "512M",
			func(c *Config, v string) (err error) { c.DiskReserve, err = parseBytes(v); return err }},
		{"link_quota", "bytes that the files of a peer may take up, on each link; K, M and G may follow the number; 0 for no bound", "0",
			func(c *Config, v string) (err error) { c.LinkQuota, err = parseBytes(v); return err }},
		{"witnesses", "third parties that are asked to cosign ledger heads: verifier key and URL of each, with spaces between; empty for none", "",
			func(c *Config, v string) (err error) { c.Witnesses, err = witness.Parse(v); return err }},
		{"witness_every", "how often they are asked, from 1s to 24h", "10m",
			func(c *Config, v string) (err error) { c.WitnessEvery, err = between(v, "1s", "24h"); return err }},
		{"witness_timeout", "how long a request to one may take, from 1s to 5m", "10s",
			func(c *Config, v string) (err error) { c.WitnessTimeout, err = between(v, "1s", "5m"); return err }},
	}
}

// Setting describes a setting for help texts and manuals.
type Setting struct{ Name, Usage, Default string }

// Settings lists every setting.
func Settings() []Setting {
	var out []Setting
	for _, s := range settings() {
		out = append(out, Setting{s.name, s.usage, s.preset})
	}
	return out
}

// LoadConfig reads the settings of a data directory. flags holds the settings that were given on the command line, by
// name; env is os.LookupEnv or the like. A setting that is not known is refused with the name of the nearest one.
func LoadConfig(data string, flags map[string]string, env func(string) (string, bool)) (Config, error) {
	c := Config{Data: data}
	path := filepath.Join(data, ConfigFile)
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return c, fault.Wrap(fault.Unavailable, "config", "The file "+path+" cannot be read; run this as the user whose node it is.", err)
	}
	file, err := parseConfig(path, string(text))
	if err != nil {
		return c, err
	}
	for _, s := range settings() {
		value, source := s.preset, "default"
		if v, ok := file[s.name]; ok {
			value, source = v.text, fmt.Sprintf("%s, line %d", path, v.line)
		}
		if v, ok := env(envPrefix + strings.ToUpper(s.name)); ok {
			value, source = v, "environment variable "+envPrefix+strings.ToUpper(s.name)
		}
		if v, ok := flags[s.name]; ok {
			value, source = v, "flag --"+strings.ReplaceAll(s.name, "_", "-")
		}
		if err := s.set(&c, value); err != nil {
			return c, fault.Wrap(fault.Invalid, "config", fmt.Sprintf("The setting %s (%s) cannot be %q: %v.", s.name, source, value, err), err)
		}
	}
	if (c.APICertificate == "") != (c.APIKey == "") {
		return c, fault.New(fault.Invalid, "config", "The settings api_certificate and api_key belong together: set both, or neither.")
	}
	if c.Listen == "" && c.Endpoint != "" {
		return c, fault.New(fault.Invalid, "config", "The setting endpoint tells peers where to call, but nothing listens there: set listen too.")
	}
	return c, nil
}

type configValue struct {
	text string
	line int
}

// parseConfig reads lines of "name = value"; a line that begins with # is a comment.
func parseConfig(path, text string) (map[string]configValue, error) {
	values := map[string]configValue{}
	n := 0
	for raw := range strings.Lines(text) {
		n++
		line := strings.TrimSpace(raw)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		refuse := func(format string, args ...any) error {
			return fault.New(fault.Invalid, "config", fmt.Sprintf("%s, line %d: ", path, n)+fmt.Sprintf(format, args...))
		}
		name, value, found := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !found {
			return nil, refuse("write a setting as name = value.")
		}
		if !slices.ContainsFunc(settings(), func(s setting) bool { return s.name == name }) {
			return nil, refuse("there is no setting %q; did you mean %q?", name, nearest(name))
		}
		if first, twice := values[name]; twice {
			return nil, refuse("%s is set already, on line %d.", name, first.line)
		}
		values[name] = configValue{value, n}
	}
	return values, nil
}

// nearest is the known setting with the least edit distance from a name.
func nearest(name string) string {
	return slices.MinFunc(settings(), func(a, b setting) int {
		return cmp.Compare(EditDistance(name, a.name), EditDistance(name, b.name))
	}).name
}

// EditDistance is the Levenshtein distance of two names, byte by byte.
func EditDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j]+1, row[j+1]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}

func checkAddress(v string) error {
	if v == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(v)
	if err != nil {
		return fmt.Errorf("it must be host:port")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("the port must be a number from 1 to 65535")
	}
	return nil
}

func checkEndpoint(v string) error {
	if v == "" {
		return nil
	}
	if flow.CheckEndpoint(v) != nil {
		return fmt.Errorf("it must be https://host:port and no more")
	}
	return nil
}

func checkDatabase(v string) error {
	if v == "" || strings.HasPrefix(v, "postgres://") || strings.HasPrefix(v, "postgresql://") {
		return nil
	}
	return fmt.Errorf("it must be a postgres:// URL, or empty for SQLite")
}

// between reads a time within bounds, which are times themselves.
func between(v, least, most string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	low, err1 := time.ParseDuration(least)
	high, err2 := time.ParseDuration(most)
	if errors.Join(err, err1, err2) != nil || d < low || d > high {
		return 0, fmt.Errorf("it must be a time from %s to %s, such as 90s", least, most)
	}
	return d, nil
}

func parseBytes(v string) (int64, error) {
	shift := 0
	for i, unit := range []string{"K", "M", "G"} {
		if number, ok := strings.CutSuffix(v, unit); ok {
			v, shift = number, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 || n > 1<<62>>shift {
		return 0, fmt.Errorf("it must be a number of bytes, such as 512M")
	}
	return n << shift, nil
}

func oneOf(v string, known ...string) error {
	if slices.Contains(known, v) {
		return nil
	}
	return fmt.Errorf("it must be %s", strings.Join(known, " or "))
}

// Logger is the node's log, on standard error.
func (c Config) Logger() *slog.Logger {
	options := &slog.HandlerOptions{Level: c.LogLevel}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, options))
}

// Socket is the path of the node's Unix socket.
func (c Config) Socket() string { return filepath.Join(c.Data, SocketFile) }
