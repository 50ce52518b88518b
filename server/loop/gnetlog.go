package loop

import (
	"fmt"
	"log/slog"
)

// gnetLog passes gnet's own log on, at debug level but for errors: what
// matters to users is logged by those who know which connection it was.
type gnetLog struct{ log *slog.Logger }

func (g gnetLog) Debugf(format string, args ...any) {
	g.log.Debug(fmt.Sprintf("gnet: "+format, args...))
}
func (g gnetLog) Infof(format string, args ...any) {
	g.log.Debug(fmt.Sprintf("gnet: "+format, args...))
}
func (g gnetLog) Warnf(format string, args ...any) {
	g.log.Debug(fmt.Sprintf("gnet: "+format, args...))
}
func (g gnetLog) Errorf(format string, args ...any) {
	g.log.Error(fmt.Sprintf("gnet: "+format, args...))
}
func (g gnetLog) Fatalf(format string, args ...any) {
	g.log.Error(fmt.Sprintf("gnet: "+format, args...))
}
