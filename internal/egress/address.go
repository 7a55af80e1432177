package egress

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Exception allows what is refused otherwise. It is made by ParseException.
type Exception struct {
	prefix netip.Prefix // addresses, or
	host   string       // a name, whatever private address it leads to
	port   string       // empty: 443
}

// ParseException reads an exception: a name (apps.internal), an address
// (10.1.2.3, fd00::1) or a range of them (10.1.0.0/16), the first two with a
// port if it is not 443 (apps.internal:8443, [fd00::1]:8443). A name stands
// for private and loopback addresses; for any other special address, such as
// those of a cloud's metadata service, the address itself must be listed.
func ParseException(s string) (Exception, error) {
	if prefix, err := netip.ParsePrefix(s); err == nil {
		if prefix.Bits() == 0 || prefix != prefix.Masked() || prefix.Addr().Is4In6() {
			return Exception{}, fmt.Errorf("%q is no range such as 10.1.0.0/16; begin it with its first address, and list no whole internet", s)
		}
		return Exception{prefix: prefix}, nil
	}
	name, port := s, ""
	if h, p, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != p {
			return Exception{}, fmt.Errorf("%q has no usable port", s)
		}
		name, port = h, p
	}
	if a, err := netip.ParseAddr(name); err == nil {
		if a.Zone() != "" || a.Is4In6() {
			return Exception{}, fmt.Errorf("%q is no plain address", s)
		}
		return Exception{prefix: netip.PrefixFrom(a, a.BitLen()), port: port}, nil
	}
	if !isName(name) {
		return Exception{}, fmt.Errorf("%q is no host name, address or range, each in lower case: apps.internal, apps.internal:8443, 10.1.0.0/16", s)
	}
	return Exception{host: name, port: port}, nil
}

// isName reports whether s is a host name of the letters that DNS knows.
func isName(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return len(s) <= 253
}

// allowsPort reports whether an exception has this port, for this name or for
// addresses that the name may turn out to have.
func (c *Client) allowsPort(name, port string) bool {
	return slices.ContainsFunc(c.Allowed, func(e Exception) bool {
		return e.port == port && (e.host == "" || e.host == name)
	})
}

// admit judges one address that a name led to, just before it is dialled.
func (c *Client) admit(name, port, resolved string) error {
	a, err := netip.ParseAddrPort(resolved)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAddress, err)
	}
	if c.listed(name, port, resolved) {
		return nil
	}
	if port != "443" {
		return fmt.Errorf("%w: %s has port %s, which is listed for another address", ErrAddress, name, port)
	}
	if err := checkPublic(a.Addr()); err != nil {
		return fmt.Errorf("%w: %s leads to %s, %w", ErrAddress, name, a.Addr(), err)
	}
	return nil
}

// listed reports whether an exception is about this address.
func (c *Client) listed(name, port, resolved string) bool {
	a, err := netip.ParseAddrPort(resolved)
	if err != nil || a.Addr().Zone() != "" {
		return false
	}
	ip := a.Addr().Unmap()
	return slices.ContainsFunc(c.Allowed, func(e Exception) bool {
		if port != cmp.Or(e.port, "443") {
			return false
		}
		if e.host != "" {
			public := checkPublic(ip) == nil
			return e.host == name && (public || ip.IsPrivate() || ip.IsLoopback())
		}
		return e.prefix.Contains(ip)
	})
}

// special are the ranges of the IANA special-purpose address registries (RFC
// 6890) that lie where public addresses are; outside of 2000::/3 all of IPv6 is
// refused anyway. The draft forbids fetching from any of them (section 8.6).
var special = func() []netip.Prefix {
	var all []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8",         // this network
		"10.0.0.0/8",        // private
		"100.64.0.0/10",     // behind carriers' address translation
		"127.0.0.0/8",       // loopback
		"169.254.0.0/16",    // link-local; clouds' metadata services
		"172.16.0.0/12",     // private
		"192.0.0.0/24",      // protocol assignments
		"192.0.2.0/24",      // documentation
		"192.31.196.0/24",   // AS112
		"192.52.193.0/24",   // multicast tunnels
		"192.88.99.0/24",    // 6to4 relays
		"192.168.0.0/16",    // private
		"192.175.48.0/24",   // AS112
		"198.18.0.0/15",     // benchmarks
		"198.51.100.0/24",   // documentation
		"203.0.113.0/24",    // documentation
		"224.0.0.0/4",       // multicast
		"240.0.0.0/4",       // reserved; broadcast
		"2001::/23",         // protocol assignments: Teredo, ORCHID, benchmarks
		"2001:db8::/32",     // documentation
		"2002::/16",         // 6to4: any IPv4 address inside
		"2620:4f:8000::/48", // AS112
		"3fff::/20",         // documentation
		"2001:4:112::/48",   // AS112
	} {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}()

var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	nat64         = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: an IPv4 address in its last four bytes
)

var errSpecial = errors.New("which is no public address")

// checkPublic reports errSpecial for every address that is not a public one of
// some single host.
func checkPublic(a netip.Addr) error {
	if a.Zone() != "" {
		return errSpecial
	}
	a = a.Unmap()
	if nat64.Contains(a) {
		// Where IPv4 is reached by translation, DNS answers with these.
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if a.Is6() && !globalUnicast.Contains(a) {
		return errSpecial // ::1, ::, ULA, link-local, site-local, multicast and what is not assigned
	}
	if slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return errSpecial
	}
	return nil
}
