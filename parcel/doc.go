// Package parcel is a statement sealed for one recipient: the header that the author's node signs, the sealed content and the
// sealed files, the receipts and grants that answer it, and the frames in which all of it travels, over HTTPS or in a courier file.
//
// It promises that one header has one content, for one recipient, in one place of one lane: what is opened is compared with the
// header before anybody sees it, so content can't be mixed, cut, forwarded under another name or put into another lane. It
// promises bounded memory: every length, count and depth is checked before anything is allocated for it.
//
// It refuses members that v 1 does not name, headers and receipts that contradict themselves, and frames over the limit of their
// kind. It signs and verifies nothing itself, and knows no link: signatures are checked first, by envelope.Registry.Verify, and the
// link's policy next.
//
// Future fields: as with texts, an unknown member is refused, never skipped. Another layout is another v, decoded beside this one;
// another frame is another kind, which a node that does not know it refuses by name.
package parcel
