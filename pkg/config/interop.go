package config

import (
	"time"

	"gopkg.in/yaml.v3"

	"github.com/lvs-director/lvs-director/pkg/kernel"
)

// Variants are the deviations of an instance from the VRRP that directors use between each other, for pairs with other
// routers.
type Variants struct {
	// DownTimerAdverts is how many adverts in a row must be missing before a BACKUP takes over, 1-100.
	DownTimerAdverts uint8
	// PlainChecksum: adverts of version 3 on IPv4 have a checksum without pseudo-header.
	PlainChecksum bool `json:",omitzero"`
	// HigherPrioSendAdvert: a MASTER that gives way sends a last advert.
	HigherPrioSendAdvert bool
	// LowerPrioNoAdvert: a MASTER does not answer an advert of lower rank.
	LowerPrioNoAdvert bool `json:",omitzero"`
	// OwnerIgnoreAdverts: an address owner that is MASTER does not give way to another one.
	OwnerIgnoreAdverts bool `json:",omitzero"`
}

// interopFields are the variants of VRRP, for pairs with other routers. They come after the keys on which they depend.
func interopFields() []key[instance] {
	return []key[instance]{
		&field[instance, uint8]{
			name: "down_timer_adverts", kind: wholeNumber[uint8](1, 100), in: func(i *instance) *uint8 { return &i.Variants.DownTimerAdverts }, def: 3,
			doc: "how many adverts in a row must be missing before a BACKUP takes over; 3 in RFC 9568. With 1, with a warning, an " +
				"advert that is lost or late leads to two MASTERs for a moment",
			reload: Live,
		},
		&field[instance, bool]{
			name: "checksum", kind: checksumForm(), in: func(i *instance) *bool { return &i.Variants.PlainChecksum },
			doc: "the checksum of adverts of version 3 on IPv4. `pseudo_header` is keepalived's; `plain` is that of RFC 9568 and most " +
				"other routers. Both are accepted (see [operations.md](operations.md#pairs-with-other-routers))",
			reload: Live,
			words:  []word{keepalived("v3_checksum_as_v2").write("`checksum: plain`")},
		},
		&field[instance, bool]{
			name: "higher_prio_send_advert", kind: flag(true), in: func(i *instance) *bool { return &i.Variants.HigherPrioSendAdvert },
			unset: "`true`; with `strict` `false`", defOf: func(i *instance) bool { return !i.Strict },
			doc: "whether a MASTER that gives way to one of higher rank sends a last advert, so that the winner announces its " +
				"addresses again to clients that have used the other MASTER; keepalived's default is `false`",
			reload: Live,
		},
		&field[instance, bool]{
			name: "lower_prio_no_advert", kind: flag(false), in: func(i *instance) *bool { return &i.Variants.LowerPrioNoAdvert },
			unset: "`false`; with `strict` and version 2 `true`", defOf: func(i *instance) bool { return i.Strict && i.ProtocolVersion == 2 },
			doc: "whether a MASTER leaves an advert of lower rank unanswered, as in RFC 3768 and RFC 5798, until its next advert is " +
				"due; two MASTERs then last up to one interval longer",
			reload: Live,
		},
		&field[instance, bool]{
			name: "owner_ignore_adverts", kind: flag(false), in: func(i *instance) *bool { return &i.Variants.OwnerIgnoreAdverts },
			doc: "whether an address owner (priority 255) that is MASTER stays so beside another one with a higher address, as in RFC " +
				"9568 before its erratum 8298; no effect with other priorities",
			reload: Live,
		},
	}
}

// checksumForm says whether the checksum is plain.
func checksumForm() kind[bool] {
	words := oneOf[string](vocabulary{what: "a form of checksum", words: []string{"pseudo_header", "plain"}})
	k := scalar(words.text, *words.schema, func(v value) bool { return words.read(v) == "plain" })
	k.show = func(plain bool) string { return map[bool]string{false: "pseudo_header", true: "plain"}[plain] }
	k.json = func(plain bool) any { return k.show(plain) }
	return k
}

// checkAddressCount warns about an instance that holds nothing.
func (i *instance) checkAddressCount(o object) {
	list, given := o.fields["virtual_addresses"]
	if given && list.node.Kind == yaml.SequenceNode && len(list.node.Content) == 0 && o.missing("excluded_addresses") {
		list.warn("", "is empty: the instance elects a MASTER, which holds no address")
	}
}

// checkInterop warns about variants without effect, and about those that make elections unreliable.
func (i *instance) checkInterop(o object) {
	if !o.missing("checksum") && (i.ProtocolVersion == 2 || i.Family() == kernel.IPv6) {
		o.locate("checksum").warn("remove it", "has no effect: adverts of version 2 and of IPv6 have one form of checksum")
	}
	if i.Variants.DownTimerAdverts == 1 {
		o.locate("down_timer_adverts").warn("write 2 or more, and a shorter advert_interval", "1: an advert that is lost leads to two MASTERs")
	}
	if patience := i.longestMasterDown(); patience+2*time.Second > maxLease && o.missing("lease") {
		o.locate("down_timer_adverts").fail("write a smaller number, or a shorter advert_interval",
			"a BACKUP would wait %s, and a lease is at most %s", span(patience.Round(time.Second)), span(maxLease))
	}
}

// interopWords are hints for keepalived's words for variants that do not correspond to a key.
func interopWords() []word {
	return []word{
		needless("is keepalived's word: the adverts of a director are obeyed whatever virtual addresses they list, and lists that differ "+
			"are reported", "skip_check_adv_addr"),
	}
}
