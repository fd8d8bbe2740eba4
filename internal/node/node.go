// Package node builds the house of one party from its configuration and runs it: keyring, store, acts, doors and
// loops, started in order and stopped in the reverse one. It also holds what the outside needs of a node that is
// not running (creating, restoring and rebuilding one) and a client for one that is.
//
// It promises that doors open last and close first, that a node which reports itself ready can write its database
// and has every loop running, and that a data directory is used by one process at a time. It refuses settings that
// it does not know, and to start on keys, a database or an identity that do not belong together.
package node
