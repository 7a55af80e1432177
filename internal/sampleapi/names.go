package sampleapi

import (
	"strings"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// A place is where generated customers come from. One listed several times has
// that many times the customers.
type place struct {
	region   string
	currency string
	dollar   int64 // what about a dollar is in the currency's smallest unit
	// Names, separated by blanks; "written=latin" where the letters have no
	// plain Latin base.
	firsts, lasts string
}

func places() []place {
	usa := place{"USA", "USD", 100,
		"Emma Noah Olivia Liam Ava Ethan Grace Mason Chloe Logan Maya José Zoë Xavier Renée Malik Aaliyah Kenji Priya Mateo",
		"Smith Johnson Williams Brown García Miller Davis Rodríguez Wilson Nguyen O'Brien Washington Núñez Kim Patel Begay Kealoha Cohen"}
	europe := place{"Europe", "EUR", 90,
		"Jürgen Zoë Søren Łukasz François Björn Siobhán Anaïs João Giulia Věra Ágnes Þór=thor Eleni Niamh Matteo İpek Charlotte",
		"Müller Østergård Dvořák Lefèvre Wójcik Ångström Nagy Ó-Súilleabháin Rossi Gonçalves Janssens Horváth Jónsdóttir Çelik Weiß Şahin"}
	return []place{usa, usa, usa, usa, europe, europe, europe,
		{"Europe", "EUR", 90,
			"Олена=olena Дмитро=dmytro Надежда=nadezhda Георги=georgi Јелена=jelena Тарас=taras",
			"Шевченко=shevchenko Коваленко=kovalenko Димитров=dimitrov Јовановић=jovanovic Бондар=bondar"},
		{"Europe", "EUR", 90,
			"Γιώργος=giorgos Ελένη=eleni Δήμητρα=dimitra Νίκος=nikos Κατερίνα=katerina",
			"Παπαδόπουλος=papadopoulos Νικολάου=nikolaou Γεωργίου=georgiou Οικονόμου=oikonomou"},
		{"Asia", "JPY", 150,
			"陽菜=hina 蓮=ren 結衣=yui 大輔=daisuke さくら=sakura 健太=kenta 美咲=misaki",
			"佐藤=sato 鈴木=suzuki 高橋=takahashi 田中=tanaka 渡辺=watanabe 小林=kobayashi"},
		{"Asia", "CNY", 700,
			"偉=wei 芳=fang 秀英=xiuying 敏=min 浩然=haoran 雨桐=yutong",
			"王=wang 李=li 張=zhang 劉=liu 陳=chen 歐陽=ouyang"},
		{"Asia", "INR", 8000,
			"आरव=aarav अनन्या=ananya Lakshmi Arjun Kavya Priya Rohan",
			"शर्मा=sharma कुमार=kumar Iyer Reddy Singh Chowdhury"},
		{"Asia", "KRW", 1400,
			"민준=minjun 서연=seoyeon 지우=jiwoo 도윤=doyun 하은=haeun",
			"김=kim 이=lee 박=park 최=choi 정=jung 남궁=namgung"},
		{"Asia", "SAR", 375,
			"فاطمة=fatima محمد=mohammed ليلى=layla عمر=omar نورة=noura يوسف=yusuf",
			"الحسن=alhassan القحطاني=alqahtani حداد=haddad منصور=mansour"},
		{"Asia", "VND", 25000,
			"Nguyệt Đức Thùy Hạnh Quân Ánh",
			"Trần Phạm Lê Võ Đặng Huỳnh"},
		{"Africa", "ZAR", 1800,
			"Chinedu Amara Ọlá Sipho Thandiwe Kwame አበበ=abebe ሰላም=selam Zainab Ngozi Ṣadé Lerato",
			"Okafor Nkosi Mensah Adébáyọ̀ ተስፋዬ=tesfaye Diallo Mwangi Dlamini Traoré Ndlovu"},
		{"Latin America", "BRL", 500,
			"João Luíza Mateus Beatriz Íris Caio Conceição Thiago Lívia Antônio",
			"Silva Araújo Gonçalves Simões Assunção Conceição Queiroz Barão"},
		{"Latin America", "MXN", 1800,
			"Sofía Martín Ximena Ñusta Íñigo Rocío Andrés Nahuel Yatziri Quetzalli",
			"Peña Muñoz Quispe Huamán Ibáñez Yáñez Güemes Tzul"},
		{"Oceania", "AUD", 150,
			"Māia Tāne Aroha Isla Jack Lani Sione Ngaire Mele Lachlan",
			"Parāone Ngāta Tūhoe Williams Tui'asosopo Taufa'ao Campbell Kaʻana=kaana"},
	}
}

func companyNames() []string {
	return strings.Fields("Aurora Baobab Cedar Delta Edelweiß Fjord Güneş Harbor Ikigai Jacarandá Kōwhai Lumière Monsoon Niño Ōtautahi Pelikán Quasar Ráfaga Sakura Tundra Ubuntu Verano Wattle Xochitl Yarrow Zephyr")
}

func companyTrades() []string {
	return []string{"Coffee", "Roasters", "Bakery", "Hotels", "Catering", "Foods", "Trading", "Kitchens", "Studio", "& Co."}
}

// A product is something that customers bought, at about so many dollars.
type product struct {
	name    string
	dollars int64
}

func products() []product {
	return []product{
		{"Coffee beans, 1 kg", 26}, {"Coffee beans, 5 kg", 119}, {"Green tea, 500 g", 22}, {"Yerba mate, 1 kg", 18},
		{"Espresso machine", 890}, {"Burr grinder", 649}, {"Pour-over kettle", 59}, {"Milk jug", 32},
		{"Espresso cups, set of 12", 49}, {"Paper filters, 1,000", 24}, {"Moka pot", 39}, {"Descaler, 5 l", 28},
		{"Cocoa powder, 2 kg", 44}, {"Teapot", 36}, {"Water filter", 129}, {"Tamper", 35}, {"Barista course", 240},
	}
}

// fold takes case and accents from a name, so that "jose" finds "José".
func fold(s string) string {
	// Letters that Unicode does not decompose into a base and a mark.
	plain := strings.NewReplacer("ø", "o", "ł", "l", "đ", "d", "ß", "ss", "æ", "ae", "œ", "oe", "ı", "i", "’", "'")
	// Without error: neither step can refuse text, and a transformer is not
	// safe for concurrent use, so each call has its own.
	marks := transform.Chain(norm.NFD, runes.Remove(runes.In(unicode.Mn)), norm.NFC)
	folded, _, err := transform.String(marks, strings.ToLower(s))
	if err != nil {
		folded = strings.ToLower(s)
	}
	return plain.Replace(folded)
}
