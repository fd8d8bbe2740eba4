package assistance

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"entente/envelope"
	"entente/party"
	"entente/statement"
)

// Asking says of a request of ours that it asked for one subject. The subject itself isn't kept: Mark is a keyed hash of it and of
// the party that was asked. These rows are folded from what our requests say, and go when what they say is erased.
type Asking struct {
	Mark   envelope.Hash
	Thread statement.Commitment
	Number string
	At     int64 // authored
}

// identifier is one of the list "identifiers" of a request's body.
type identifier struct {
	Type     string `json:"type"`
	Value    string `json:"value"`
	From     string `json:"from"`
	To       string `json:"to"`
	Zone     string `json:"zone"`
	Port     *int   `json:"port"`
	Provider string `json:"provider"` // who holds the data is not what is asked
}

// Subjects lists, sorted and each once, what a body asks a party about: its identifiers, each in one spelling, so that two requests
// that mean the same have the same text. An address of a network belongs to somebody at a time alone, so that its times, as instants
// (UTC), and its port count; of anything else only the value does. What has no valid form is left out.
func Subjects(asked party.ID, body []byte, zone func(name string) (*time.Location, error)) []string {
	var members map[string]jsontext.Value
	var list []jsontext.Value
	if envelope.Unmarshal(body, &members) != nil || members["identifiers"] == nil || envelope.Unmarshal(members["identifiers"], &list) != nil {
		return nil
	}
	var subjects []string
	for _, data := range list {
		if s := subject(data, zone); s != "" {
			subjects = append(subjects, asked.String()+"\x00"+s)
		}
	}
	slices.Sort(subjects)
	return slices.Compact(subjects)
}

// subject is one identifier in its one spelling, "" if it has no valid form.
func subject(data jsontext.Value, zone func(name string) (*time.Location, error)) string {
	var i identifier
	if envelope.Unmarshal(data, &i) != nil {
		return ""
	}
	value := spelled(i.Type, strings.TrimSpace(i.Value))
	if value == "" {
		return ""
	}
	parts := []string{i.Type, value}
	if i.Type == "ip" || i.Type == "network" {
		for _, local := range []string{i.From, i.To} {
			at, err := instantOf(local, i.Zone, zone)
			if err != nil {
				return ""
			}
			parts = append(parts, at)
		}
		if i.Port != nil {
			parts = append(parts, strconv.Itoa(*i.Port))
		}
	}
	return strings.Join(parts, "\x00")
}

// instantOf is a local time in UTC; "" for none.
func instantOf(local, name string, zone func(name string) (*time.Location, error)) (string, error) {
	if local == "" {
		return "", nil
	}
	in, err := zone(name)
	if err != nil {
		return "", err
	}
	at, err := time.ParseInLocation("2006-01-02T15:04:05", local, in)
	return at.UTC().Format(time.RFC3339), err
}

// spelled is the one spelling of a value, "" if it has no valid form.
func spelled(kind, value string) string {
	switch kind {
	case "ip":
		a, err := netip.ParseAddr(value)
		if err != nil {
			return ""
		}
		return a.Unmap().String()
	case "network":
		p, err := netip.ParsePrefix(value)
		if err != nil {
			return ""
		}
		return p.Masked().String()
	case "domain":
		return strings.TrimSuffix(strings.ToLower(value), ".")
	case "url":
		u, err := url.Parse(value)
		if err != nil {
			return ""
		}
		u.Scheme, u.Host, u.Fragment = strings.ToLower(u.Scheme), strings.ToLower(u.Host), ""
		if port := u.Port(); u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
			u.Host = strings.TrimSuffix(u.Host, ":"+port)
		}
		if u.Path == "" {
			u.Path = "/"
		}
		return u.String()
	case "telephone":
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, value)
	case "wallet": // in most of their alphabets capitals count
		return value
	case "account":
		value = strings.TrimPrefix(value, "@")
	}
	return strings.ToLower(strings.Join(strings.Fields(value), " "))
}
