package admin

import (
	"net/http"
	"time"
)

// Settings is what the console tells of how this process is set up: texts, of
// which none is a secret.
type Settings struct {
	Version string
	Roles   []string // that this process plays
	Engine  string   // of the store
	Data    string   // folder
	Since   time.Time
	Groups  []SettingGroup
}

// SettingGroup is the keys below one key of the configuration.
type SettingGroup struct {
	Name string
	Rows []Setting
}

// Setting is a key of the configuration with what holds now.
type Setting struct {
	Key     string
	Values  []string // none: it is not set
	Masked  bool     // it is set, and not shown
	Meaning string
}

type settingsView struct {
	frame
	Settings
}

func (s *Server) settingsRoutes() []Route {
	return []Route{{"GET /admin/settings", Reading, s.showSettings}}
}

// showSettings shows what holds. It is changed in the configuration alone.
func (s *Server) showSettings(w http.ResponseWriter, _ *http.Request, v visit) error {
	return s.pages.Render(w, http.StatusOK, "settings.html", settingsView{s.frame(v, "/admin/settings"), s.Settings})
}
