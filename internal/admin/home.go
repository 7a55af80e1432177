package admin

import "net/http"

type homeView struct {
	frame
}

// showHome tells what is happening now.
func (s *Server) showHome(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.pages.Render(w, http.StatusOK, "home.html", homeView{frame: s.frame(v, home)})
}
