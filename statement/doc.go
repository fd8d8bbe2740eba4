// Package statement is what one party says to another: the text that folds and measures read, the body that only people read,
// the files, and the commitments that tie them together; the kinds of statement by edition; the rule set and the link agreement.
//
// It promises that what is said once can be checked for as long as the text is kept: exact bytes are committed to under a salt,
// so a body can be erased and its text still be proven, and what is left tells nobody what the body was. It promises that two
// builds which know the same edition accept the same statements, whatever machine they run on: lists, limits and time-zone names
// are part of the edition, not of the host.
//
// It refuses free text outside the body, members that its edition does not know, control and direction-changing characters where
// a person reads one line, file names that some system would take for a path or a device, and everything over its limits.
//
// Future fields: a text, a body or an agreement with a member that v 1 does not name is refused, never skipped, since an ignored
// member is one that only one side obeys. A later edition of kinds adds kinds, with their own faces and bodies; it never changes
// the meaning of a kind of an earlier edition, and a build keeps every edition that it ever agreed to. A change to the text itself
// would be v 2, decoded beside v 1.
package statement
