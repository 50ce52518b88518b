// Package compose has no code: its tests hurt the containers of
// docker-compose.yml, as run.sh has built and configured them. Alone they skip.
package compose
