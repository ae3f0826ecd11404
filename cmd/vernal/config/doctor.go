package config

import (
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"vernal/idp"
	"vernal/idp/doctor"
)

// minDoctorEvery is the shortest interval of the checks that ask other machines.
const minDoctorEvery = 10 * time.Minute

func (v *validator) checkDoctor() {
	d := &v.config.Doctor
	for _, timeURL := range d.TimeURLs {
		u, err := url.Parse(timeURL)
		switch {
		case err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "ntp",
			u != nil && u.Scheme == "ntp" && u.Path != "":
			v.add("doctor.time_urls", "%q is not a URL such as https://www.example.gov or ntp://time.example.gov", timeURL)
		case u.Scheme == "http" && !idp.IsLoopback(u.Hostname()):
			v.add("doctor.time_urls", "%q is http, which is for loopback only: use https", timeURL)
		}
	}
	if d.Every < 0 || d.Every > 0 && d.Every < minDoctorEvery {
		v.add("doctor.every", "%s is under %s: use 0 to turn it off", d.Every, minDoctorEvery)
	}
}

// DoctorSettings returns the settings of the installation's checks. storeName and keysName are
// names in the data folder.
func (c *Config) DoctorSettings(storeName, keysName string, getenv func(string) string) doctor.Settings {
	settings := doctor.Settings{
		Listen: c.Listen, TrustedProxies: c.Proxies(), TLSCert: c.TLS.Cert, TLSKey: c.TLS.Key,
		DataDir: c.DataDir, StoreFile: filepath.Join(c.DataDir, storeName), KeysDir: filepath.Join(c.DataDir, keysName),
		TimeURLs: c.Doctor.TimeURLs, Every: c.Doctor.Every, BackupEvery: c.Backup.Every,
	}
	if c.Backup.Every > 0 {
		settings.BackupDir = c.Backup.Dir
	}
	for _, f := range c.secretFiles() {
		switch {
		case f.path == "" || strings.TrimSpace(getenv(f.env)) != "":
		case f.env == MasterKeyEnv:
			settings.MasterKeyFile = f.path
		default:
			settings.SecretFiles = append(settings.SecretFiles, f.path)
		}
	}
	return settings
}
