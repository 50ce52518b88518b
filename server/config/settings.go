package config

import (
	"strconv"
	"time"
)

// setting is one thing that can be set: its names, its default as a user would
// write it, how to take a value, and how to show the one in effect. Immutable.
type setting struct {
	flag, env, preset string
	take              func(cfg *Config, value string) []string // faults in the user's words
	show              func(cfg *Config) string
}

// defaultAnalyzers are those of the demo.
const defaultAnalyzers = "analyzer-1=tcp://127.0.0.1:9001?weight=40," +
	"analyzer-2=tcp://127.0.0.1:9002?weight=30," +
	"analyzer-3=tcp://127.0.0.1:9003?weight=20," +
	"analyzer-4=tcp://127.0.0.1:9004?weight=10"

func settings() []setting {
	return []setting{
		address("listen", "LISTEN", ":9000", func(c *Config) *string { return &c.Listen }),
		address("http", "HTTP_LISTEN", ":8000", func(c *Config) *string { return &c.HTTPListen }),
		{"analyzers", "ANALYZERS", defaultAnalyzers, takeAnalyzers, showAnalyzers},
		number("workers", "NUM_WORKERS", "0", 0, maxWorkers, func(c *Config) *int { return &c.Workers }),
		number("max-queue", "MAX_QUEUE_SIZE", "5000", 1, maxQueue, func(c *Config) *int { return &c.MaxQueue }),
		number("max-retries", "MAX_RETRIES", "2", 0, maxRetries, func(c *Config) *int { return &c.MaxRetries }),
		duration("retry-delay", "RETRY_DELAY", "0.5", 0, maxRetryDelay, func(c *Config) *time.Duration { return &c.RetryDelay }),
		duration("health-check-interval", "HEALTH_CHECK_INTERVAL", "5", minHealthCheck, maxHealthCheck, func(c *Config) *time.Duration { return &c.HealthCheckInterval }),
		size("max-frame", "MAX_FRAME_BYTES", "1MiB", minFrameBytes, maxFrameBytes, func(c *Config) *int { return &c.MaxFrame }),
		size("max-body", "MAX_BODY_BYTES", "4MiB", minBodyBytes, maxBodyBytes, func(c *Config) *int { return &c.MaxBody }),
		choice("route", "ROUTE", []string{RouteWeighted, RouteAgent, RoutePacket}, func(c *Config) *string { return &c.Route }),
		choice("spill", "SPILL", []string{SpillElastic, SpillStrict}, func(c *Config) *string { return &c.Spill }),
		choice("log-format", "LOG_FORMAT", []string{"text", "json"}, func(c *Config) *string { return &c.LogFormat }),
		choiceOf("log-level", "LOG_LEVEL", "info", []string{"debug", "info", "warn", "error"}, func(c *Config) *string { return &c.LogLevel }),
	}
}

func address(flag, env, preset string, field func(*Config) *string) setting {
	return setting{flag, env, preset,
		func(c *Config, v string) []string {
			if fault := checkListen(v); fault != "" {
				return []string{fault}
			}
			*field(c) = v
			return nil
		},
		func(c *Config) string { return *field(c) },
	}
}

func number(flag, env, preset string, low, high int, field func(*Config) *int) setting {
	return setting{flag, env, preset,
		func(c *Config, v string) []string {
			n, fault := parseNumber(v, low, high)
			if fault != "" {
				return []string{fault}
			}
			*field(c) = n
			return nil
		},
		func(c *Config) string { return strconv.Itoa(*field(c)) },
	}
}

func duration(flag, env, preset string, low, high time.Duration, field func(*Config) *time.Duration) setting {
	return setting{flag, env, preset,
		func(c *Config, v string) []string {
			d, fault := parseDuration(v, low, high)
			if fault != "" {
				return []string{fault}
			}
			*field(c) = d
			return nil
		},
		func(c *Config) string { return field(c).String() },
	}
}

func size(flag, env, preset string, low, high int, field func(*Config) *int) setting {
	return setting{flag, env, preset,
		func(c *Config, v string) []string {
			n, fault := parseSize(v, low, high)
			if fault != "" {
				return []string{fault}
			}
			*field(c) = n
			return nil
		},
		func(c *Config) string { return formatSize(*field(c)) },
	}
}

// choice presets the first of its values.
func choice(flag, env string, values []string, field func(*Config) *string) setting {
	return choiceOf(flag, env, values[0], values, field)
}

func choiceOf(flag, env, preset string, values []string, field func(*Config) *string) setting {
	return setting{flag, env, preset,
		func(c *Config, v string) []string {
			for _, allowed := range values {
				if v == allowed {
					*field(c) = v
					return nil
				}
			}
			return []string{"must be " + orList(values)}
		},
		func(c *Config) string { return *field(c) },
	}
}
