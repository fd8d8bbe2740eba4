// Package testenv gives tests what lies outside the repository: the folders of test data, a PostgreSQL
// server, and a witness that others wrote. It is for tests only.
//
// It promises that a test which lacks what it needs skips with a sentence that names the missing variable,
// and that the same test fails instead when ENTENTE_TEST_STRICT is 1, so that no machine that checks a change
// can skip unseen. It is the only place in the project where a test may skip. It refuses to look for data
// anywhere but where the environment says.
package testenv

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// The variables that tests read.
const (
	// DataVar names the folder of test data.
	DataVar = "ENTENTE_TESTDATA"
	// PostgresVar is the URL of a PostgreSQL server whose user may create databases.
	PostgresVar = "ENTENTE_TEST_POSTGRES"
	// LitewitnessVar is the path of the program litewitness, a C2SP witness that others wrote.
	LitewitnessVar = "ENTENTE_TEST_LITEWITNESS"
	// StrictVar turns every skip into a failure when it is 1.
	StrictVar = "ENTENTE_TEST_STRICT"
)

// postgresPatience bounds how long creating or dropping a database may take.
const postgresPatience = 60 * time.Second

// Missing ends the test because something that it needs is not here: it skips, or fails when ENTENTE_TEST_STRICT is 1.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	why := fmt.Sprintf(format, args...)
	if os.Getenv(StrictVar) == "1" {
		t.Fatalf("%s is 1, and a test may not be skipped: %s", StrictVar, why)
	}
	t.Skipf("SKIPPED, NOT PASSED: %s", why)
}

// Data returns the absolute path of a folder or file of test data, such as Data(t, "floe-kats") or
// Data(t, "stix", "patterns-2.1.json"). Without ENTENTE_TESTDATA it ends the test as Missing does; a folder that
// the variable promises and that does not exist is a failure.
func Data(t testing.TB, elem ...string) string {
	t.Helper()
	root := os.Getenv(DataVar)
	if root == "" {
		Missing(t, "%s is not set: it names the folder of test data (see CONTRIBUTING.md)", DataVar)
	}
	path, err := filepath.Abs(filepath.Join(append([]string{root}, elem...)...))
	if err != nil {
		t.Fatalf("test data: %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("test data promised by %s: %v", DataVar, err)
	}
	return path
}

// Litewitness returns the path of a witness program to run beside a node. Without the variable it ends the test as Missing
// does.
func Litewitness(t testing.TB) string {
	t.Helper()
	path := os.Getenv(LitewitnessVar)
	if path == "" {
		Missing(t, "%s is not set: it is the path of a witness program (see CONTRIBUTING.md)", LitewitnessVar)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the program promised by %s: %v", LitewitnessVar, err)
	}
	return path
}

// Postgres creates an empty database in the server that ENTENTE_TEST_POSTGRES names and returns its URL. The
// database is dropped, with whatever is still connected to it, when the test ends. Without the variable it
// ends the test as Missing does; a server that does not answer is a failure.
func Postgres(t testing.TB) string {
	t.Helper()
	server := os.Getenv(PostgresVar)
	if server == "" {
		Missing(t, "%s is not set: it is the URL of a PostgreSQL server for tests (see CONTRIBUTING.md)", PostgresVar)
	}
	name := "entente_test_" + strings.ToLower(rand.Text())
	address, err := inDatabase(server, name)
	if err != nil {
		t.Fatalf("%s: %v", PostgresVar, err)
	}
	// The collation is C, so that text sorts by bytes on every machine, as it does on SQLite.
	if err := execute(server, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"); err != nil {
		t.Fatalf("creating a test database: %v", err)
	}
	t.Cleanup(func() {
		if err := execute(server, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("dropping a test database: %v", err)
		}
	})
	return address
}

// inDatabase returns the server's URL with another database in it.
func inDatabase(server, name string) (string, error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("parsing the server's URL: %w", err)
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", fmt.Errorf("the server's URL has the scheme %q, want postgres", u.Scheme)
	}
	u.Path = "/" + name
	return u.String(), nil
}

// execute runs one statement on the server, on a connection of its own. It does not use the test's context,
// which is already cancelled when cleanups run.
func execute(server, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), postgresPatience)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return fmt.Errorf("connecting to the PostgreSQL server: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("running %.40q: %w", sql, err)
	}
	return nil
}
