//go:build !slow

package logout_test

const draws = "15"
