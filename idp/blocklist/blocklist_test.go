package blocklist

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/trustelem/zxcvbn"
	"github.com/trustelem/zxcvbn/frequency"
)

func TestCommonPasswords(t *testing.T) {
	t.Parallel()
	context := []string{"ana.flores@example.gov", "Vernal", "State of Example"}
	for name, passwords := range map[string][]string{
		"digits":           {"123456789012", "111111111111", "123123123123", "147258369147", "098765432109", "121212121212"},
		"common words":     {"password1234", "Password1234!", "iloveyou1234", "passwordpassword", "letmein-letmein", "welcome12345", "qwerty-Letmein-2026!", "superman1234", "administrator"},
		"substitutions":    {"P@ssw0rd2026", "p455w0rd1234", "L3tm31n-2026", "1l0v3y0u1234", "drowssap1234"},
		"the famous one":   {"correct horse battery staple", "CorrectHorseBatteryStaple", "correct-horse-battery-staple"},
		"keyboards":        {"qwertyuiop[]", "qwertyuiop12", "1qaz2wsx3edc", "1q2w3e4r5t6y", "zxcvbnmasdfgh", "asdfghjkl;'\\", "azertyuiopqs", "qwertzuiopü+", "!@#$%^&*()_+", "qazwsxedcrfv"},
		"number pad":       {"789632147896", "741236987412", "951753951753"},
		"sequences":        {"abcdefghijkl", "ABCDEFGHIJKL", "lkjihgfedcba", "abcdefgh1234", "acegikmoqsuw"},
		"repetitions":      {"a-a-a-a-a-a-a", "aaaaaaaaaaaa", "abababababab", "monkeymonkeymonkey", "äbäbäbäbäbäbäb", "tulip-tulip-tulip-", strings.Repeat("ab1!", 32)},
		"dates":            {"01.02.1990 01.02.1990", "summer2025!!", "Winter2026!!!", "December2026!", "1990-02-01!!"},
		"French, Spanish":  {"motdepasse2026", "Contraseña2026", "contrasena123", "soleil123456", "verano2026!!", "été2026-2026", "Bonjour-2026!"},
		"the user":         {"ana.flores@example.gov", "ana.flores2026", "AnaFlores2026!", "flores-flores-1", "Serolf-2026!!"},
		"the service":      {"Vernal2026!!!", "vernal-Vernal", "example2026!!", "V3rn4l-123456", "StateOfExample1"},
		"separators alone": {"............", "- - - - - - ", "!!!!!!!!!!!!"},
	} {
		for _, p := range passwords {
			if n := utf8.RuneCountInString(p); n < 12 {
				t.Errorf("%s: %q has only %d characters", name, p, n)
			}
			if !IsCommon(p, context...) {
				t.Errorf("%s: %q is not common", name, p)
			}
		}
	}
}

func TestOtherPasswords(t *testing.T) {
	t.Parallel()
	for _, p := range []string{
		"plum jam on nine windows", "tulip snow 7", "orchid quietly hums", "le chat dort sur le toit", "mi perro come zanahorias",
		"kein Schnee im Juli", "830174926501", "xkqwvzpbmdtr", "äöüßéèêàçñõø", "Vernal is slow on mondays", "ana reads about volcanoes",
		"tV9$kq!27LpX", "🌷🌱🌼🐇🐝🌦🌈☂🌻🍀🍁🍄", "qwerty-letmein-crocus", "私の好きな食べ物は寿司です",
	} {
		if IsCommon(p, "ana.flores@example.gov", "Vernal") {
			t.Errorf("%q is common", p)
		}
	}
}

// TestRandomPasswordsAreAccepted checks passwords as password managers make them.
func TestRandomPasswordsAreAccepted(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, alphabet := range []string{
		"abcdefghijklmnopqrstuvwxyz", "0123456789abcdef",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.!@#$%",
	} {
		for range 300 {
			p := make([]byte, 12)
			for i := range p {
				p[i] = alphabet[random.IntN(len(alphabet))]
			}
			if IsCommon(string(p), "ana.flores@example.gov", "Vernal") {
				t.Errorf("%q is common", p)
			}
		}
	}
}

// TestContextDecides checks that a password can be common for one user only.
func TestContextDecides(t *testing.T) {
	t.Parallel()
	const password = "zyxomma-2026!"
	if IsCommon(password) || !IsCommon(password, "zyxomma@example.gov") || !IsCommon(password, "", "Zyxomma") {
		t.Error("the context does not decide")
	}
	if IsCommon("tulip snow 7", "", "a", "to", "t", "s") {
		t.Error("short words of the context count")
	}
}

// TestListsAreThoseOfTheLibrary checks words.txt.gz, and the longest word that is looked up.
func TestListsAreThoseOfTheLibrary(t *testing.T) {
	t.Parallel()
	ranks, err := readWords(packedWords)
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range frequency.FrequencyLists {
		for i, word := range list {
			if rank := ranks[word]; rank < 1 || rank > i+1 {
				t.Fatalf("%s: %q has rank %d, want at most %d: run go generate", name, word, rank, i+1)
			}
		}
	}
	if _, err := readWords([]byte("no archive")); err == nil {
		t.Error("a damaged list was read")
	}
}

// TestNothingPassesThatZxcvbnRefuses compares with the library. The lists contain most passwords
// that people choose with 12 characters or more.
func TestNothingPassesThatZxcvbnRefuses(t *testing.T) {
	t.Parallel()
	var passwords []string
	for name, list := range frequency.FrequencyLists {
		for i, word := range list {
			switch {
			case len(word) >= 12 && name == "passwords":
				passwords = append(passwords, word)
			case i%1000 == 7:
				passwords = append(passwords, word+word, word+"123456", strings.ToUpper(word)+"2024!!", "12345"+word+"!", word+"-"+list[i/2], strings.ReplaceAll(word, "a", "4")+"qwerty")
			}
		}
	}
	if len(passwords) < 500 {
		t.Fatalf("%d passwords", len(passwords))
	}
	for _, p := range passwords {
		if result := zxcvbn.PasswordStrength(p, nil); result.Score < 3 && !IsCommon(p) {
			t.Errorf("%q: zxcvbn counts %.3g guesses", p, result.Guesses)
		}
	}
}

// TestRepetitionIsEstimatedOnce counts the parts that are estimated, because each costs as much as a
// password.
func TestRepetitionIsEstimatedOnce(t *testing.T) {
	t.Parallel()
	for part, most := range map[string]int{"a": 1, "ab1!": 4} {
		e := &estimator{words: words(), known: make(map[string]float64)}
		e.estimate([]rune(strings.Repeat(part, 128/len(part))))
		if len(e.known) > most {
			t.Errorf("%q repeated: %d parts were estimated, want at most %d", part, len(e.known), most)
		}
	}
}

func FuzzIsCommon(f *testing.F) {
	for _, p := range []string{"", "aaaa", "1990-02-01", "P@ssw0rd", "İİİ", "\xff\xfe", "🌷🌷"} {
		f.Add(p, "a@b.example")
	}
	f.Fuzz(func(t *testing.T, password, context string) {
		if len(password) > 512 || len(context) > 512 {
			return
		}
		if common := IsCommon(password, context); !common && IsCommon(password) {
			t.Errorf("%q is common without %q only", password, context)
		}
	})
}

// BenchmarkIsCommon measures the passwords that take longest.
func BenchmarkIsCommon(b *testing.B) {
	words()
	for name, p := range map[string]string{
		"usual": "plum jam on nine windows", "one character": strings.Repeat("a", 128), "repeated": strings.Repeat("ab1!", 32),
		"leet": strings.Repeat("4@8(3690!17$5+%2", 8), "unary": strings.Repeat("ab", 31) + "c" + strings.Repeat("ab", 32), "emoji": strings.Repeat("🌷🌱🌼🐇🐝🌦🌈☂", 16),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				IsCommon(p, "ana.flores@example.gov", "Vernal")
			}
		})
	}
}

func BenchmarkUnpack(b *testing.B) {
	for b.Loop() {
		if _, err := readWords(packedWords); err != nil {
			b.Fatal(err)
		}
	}
}
