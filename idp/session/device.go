package session

import (
	"net/netip"
	"strings"

	"vernal/idp"
)

// maxUserAgent bounds how much of a User-Agent is looked at.
const maxUserAgent = 512

// mark is what in a User-Agent tells a name. The first that is found counts, as
// most browsers also name those whom they resemble.
type mark struct{ token, name string }

var browsers = []mark{
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

var systems = []mark{
	{"Android", "Android"},
	{"iPhone", "iPhone"},
	{"iPad", "iPad"},
	{"Windows", "Windows"},
	{"CrOS", "ChromeOS"},
	{"Macintosh", "macOS"},
	{"Linux", "Linux"},
}

// DeviceOf is what a person can know a browser by: its family and system, from
// the User-Agent that it sent, and its network. Nothing of the User-Agent itself
// is kept, as it is the client's to choose, and tells more of people than they
// need to know their own devices. The same goes for the rest of the address.
func DeviceOf(userAgent string, client netip.Addr) idp.Device {
	agent := userAgent[:min(len(userAgent), maxUserAgent)]
	return idp.Device{Browser: nameOf(browsers, agent), System: nameOf(systems, agent), Network: networkOf(client)}
}

func nameOf(marks []mark, agent string) string {
	for _, m := range marks {
		if strings.Contains(agent, m.token) {
			return m.name
		}
	}
	return ""
}

func networkOf(client netip.Addr) string {
	if !client.IsValid() {
		return ""
	}
	bits := 48
	if client = client.Unmap().WithZone(""); client.Is4() {
		bits = 24
	}
	p, _ := client.Prefix(bits) // the address has as many
	return p.String()
}
