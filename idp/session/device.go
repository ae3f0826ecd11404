package session

import (
	"net/netip"
	"strings"

	"vernal/idp"
)

// maxUserAgent limits how much of a User-Agent is examined.
const maxUserAgent = 512

// agentToken maps a token in a User-Agent to a name. The first match counts, because most browsers
// also name the browsers that they resemble.
type agentToken struct{ token, name string }

var browsers = []agentToken{
	{"Edg", "Edge"}, // "Edg/", "EdgA/" and "EdgiOS/"
	{"OPR/", "Opera"},
	{"SamsungBrowser/", "Samsung Internet"},
	{"Vivaldi/", "Vivaldi"},
	{"Firefox/", "Firefox"},
	{"FxiOS/", "Firefox"},
	{"CriOS/", "Chrome"},
	{"Chromium/", "Chromium"},
	{"Chrome/", "Chrome"},
	{"Safari/", "Safari"},
}

var systems = []agentToken{
	{"Android", "Android"},
	{"iPhone", "iPhone"},
	{"iPad", "iPad"},
	{"Windows", "Windows"},
	{"CrOS", "ChromeOS"},
	{"Macintosh", "macOS"},
	{"Linux", "Linux"},
}

// DescribeDevice returns a description by which a user can recognize a browser: its family and system,
// from its User-Agent, and its network. Nothing else of the User-Agent is kept, because the client
// chooses it, and it discloses more than users need to recognize their own devices. The same
// applies to the rest of the IP address.
func DescribeDevice(userAgent string, client netip.Addr) idp.Device {
	agent := userAgent[:min(len(userAgent), maxUserAgent)]
	return idp.Device{Browser: findName(browsers, agent), System: findName(systems, agent), Network: findNetwork(client)}
}

func findName(marks []agentToken, agent string) string {
	for _, m := range marks {
		if strings.Contains(agent, m.token) {
			return m.name
		}
	}
	return ""
}

func findNetwork(client netip.Addr) string {
	if !client.IsValid() {
		return ""
	}
	bits := 48
	if client = client.Unmap().WithZone(""); client.Is4() {
		bits = 24
	}
	p, _ := client.Prefix(bits) // the IP address always has that many
	return p.String()
}
