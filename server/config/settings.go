package config

import (
	"strconv"
	"strings"
	"time"

	"sluice/internal/cli"
)

// setting is one thing that can be set: its names, its default as a user would
// write it, how to take a value, and how to show the one in effect. Immutable.
type setting struct {
	flag, env, preset string
	take              func(cfg *Config, value string) []string // faults in the user's words
	show              func(cfg *Config) string
	bounds            string // "from 0 to 1024"; empty: none that can be told like this
	live              bool   // a running distributor can obey it anew; see NeedsRestart
}

// live marks a setting as one that a running distributor can obey anew.
func live(s setting) setting {
	s.live = true
	return s
}

// Show writes the value in force of the setting with that flag (without
// dashes), as a user would write it.
func Show(cfg *Config, flag string) string {
	for _, s := range settings() {
		if s.flag == flag {
			return s.show(cfg)
		}
	}
	return ""
}

// key is its name in the file.
func (s setting) key() string { return strings.ReplaceAll(s.flag, "-", "_") }

const analyzersFlag = "analyzers"

// defaultAnalyzers are those of the demo.
const defaultAnalyzers = "analyzer-1=tcp://127.0.0.1:9001?weight=40," +
	"analyzer-2=tcp://127.0.0.1:9002?weight=30," +
	"analyzer-3=tcp://127.0.0.1:9003?weight=20," +
	"analyzer-4=tcp://127.0.0.1:9004?weight=10"

func settings() []setting {
	return []setting{
		address("listen", "LISTEN", ":9000", func(c *Config) *string { return &c.Listen }),
		address("http", "HTTP_LISTEN", ":8000", func(c *Config) *string { return &c.HTTPListen }),
		{flag: "admin", env: "ADMIN_LISTEN", preset: adminOff, take: takeAdmin, show: showAdmin},
		{flag: analyzersFlag, env: "ANALYZERS", preset: defaultAnalyzers, take: takeAnalyzers, show: showAnalyzers, live: true},
		number("workers", "NUM_WORKERS", "0", 0, maxWorkers, func(c *Config) *int { return &c.Workers }),
		live(number("max-queue", "MAX_QUEUE_SIZE", "5000", 1, maxQueue, func(c *Config) *int { return &c.MaxQueue })),
		live(number("max-retries", "MAX_RETRIES", "2", 0, maxRetries, func(c *Config) *int { return &c.MaxRetries })),
		live(duration("retry-delay", "RETRY_DELAY", "0.5", 0, maxRetryDelay, func(c *Config) *time.Duration { return &c.RetryDelay })),
		live(duration("queue-timeout", "QUEUE_TIMEOUT", "60", minPatience, maxPatience, func(c *Config) *time.Duration { return &c.QueueTimeout })),
		live(duration("health-check-interval", "HEALTH_CHECK_INTERVAL", "5", minHealthCheck, maxHealthCheck, func(c *Config) *time.Duration { return &c.HealthCheckInterval })),
		live(duration("silence", "SILENCE", "1", minSilence, maxPatience, func(c *Config) *time.Duration { return &c.Silence })),
		live(duration("ack-timeout", "ACK_TIMEOUT", "10", minPatience, maxPatience, func(c *Config) *time.Duration { return &c.AckTimeout })),
		live(duration("spill-after", "SPILL_AFTER", "0.2", minPatience, maxPatience, func(c *Config) *time.Duration { return &c.SpillAfter })),
		live(duration("slow-start", "SLOW_START", "10", 0, maxPatience, func(c *Config) *time.Duration { return &c.SlowStart })),
		live(duration("grace", "GRACE", "25", 0, maxPatience, func(c *Config) *time.Duration { return &c.Grace })),
		folder("dead-letter-dir", "DEAD_LETTER_DIR", "./dead-letters", func(c *Config) *string { return &c.DeadLetterDir }),
		size("dead-letter-max", "DEAD_LETTER_MAX_BYTES", "1GiB", minDeadLetters, maxDeadLetters, func(c *Config) *int { return &c.DeadLetterMax }),
		size("max-frame", "MAX_FRAME_BYTES", "1MiB", minFrameBytes, maxFrameBytes, func(c *Config) *int { return &c.MaxFrame }),
		live(number("max-connections", "MAX_CONNECTIONS", "100000", 1, maxConnections, func(c *Config) *int { return &c.MaxConnections })),
		live(number("max-connections-per-ip", "MAX_CONNECTIONS_PER_IP", "0", 0, maxConnections, func(c *Config) *int { return &c.MaxConnectionsPerIP })),
		live(size("byte-budget", "BYTE_BUDGET", "256MiB", MinByteBudget, maxByteBudget, func(c *Config) *int64 { return &c.ByteBudget })),
		{flag: "memory-limit", env: "MEMORY_LIMIT", preset: "80%", take: takeMemoryLimit, show: showMemoryLimit},
		size("max-body", "MAX_BODY_BYTES", "4MiB", minBodyBytes, maxBodyBytes, func(c *Config) *int { return &c.MaxBody }),
		choice("route", "ROUTE", []string{RouteWeighted, RouteAgent, RoutePacket}, func(c *Config) *string { return &c.Route }),
		choice("spill", "SPILL", []string{SpillElastic, SpillStrict}, func(c *Config) *string { return &c.Spill }),
		choice("log-format", "LOG_FORMAT", []string{"text", "json"}, func(c *Config) *string { return &c.LogFormat }),
		live(choiceOf("log-level", "LOG_LEVEL", "info", []string{"debug", "info", "warn", "error"}, func(c *Config) *string { return &c.LogLevel })),
	}
}

func address(flag, env, preset string, field func(*Config) *string) setting {
	return setting{flag: flag, env: env, preset: preset,
		take: func(c *Config, v string) []string {
			if fault := checkListen(v); fault != "" {
				return []string{fault}
			}
			*field(c) = v
			return nil
		},
		show: func(c *Config) string { return *field(c) },
	}
}

// folder takes any path: whether it can be written is seen when it is.
func folder(flag, env, preset string, field func(*Config) *string) setting {
	return setting{flag: flag, env: env, preset: preset,
		take: func(c *Config, v string) []string {
			*field(c) = v
			return nil
		},
		show: func(c *Config) string { return *field(c) },
	}
}

// accept stores a value that could be read, or gives its fault.
func accept[T any](value T, err error, field *T) []string {
	if err != nil {
		return []string{err.Error()}
	}
	*field = value
	return nil
}

func number(flag, env, preset string, low, high int, field func(*Config) *int) setting {
	return setting{flag: flag, env: env, preset: preset, bounds: "from " + strconv.Itoa(low) + " to " + strconv.Itoa(high),
		take: func(c *Config, v string) []string {
			n, err := cli.Int(v, low, high)
			return accept(n, err, field(c))
		},
		show: func(c *Config) string { return strconv.Itoa(*field(c)) },
	}
}

func duration(flag, env, preset string, low, high time.Duration, field func(*Config) *time.Duration) setting {
	return setting{flag: flag, env: env, preset: preset, bounds: "from " + low.String() + " to " + high.String(),
		take: func(c *Config, v string) []string {
			d, err := cli.Duration(v, low, high)
			return accept(d, err, field(c))
		},
		show: func(c *Config) string { return field(c).String() },
	}
}

func size[T int | int64](flag, env, preset string, low, high T, field func(*Config) *T) setting {
	return setting{flag: flag, env: env, preset: preset, bounds: "from " + cli.FormatSize(int64(low)) + " to " + cli.FormatSize(int64(high)),
		take: func(c *Config, v string) []string {
			n, err := cli.Size(v, low, high)
			return accept(n, err, field(c))
		},
		show: func(c *Config) string { return cli.FormatSize(int64(*field(c))) },
	}
}

// choice presets the first of its values.
func choice(flag, env string, values []string, field func(*Config) *string) setting {
	return choiceOf(flag, env, values[0], values, field)
}

func choiceOf(flag, env, preset string, values []string, field func(*Config) *string) setting {
	return setting{flag: flag, env: env, preset: preset,
		take: func(c *Config, v string) []string {
			return accept(v, cli.OneOf(v, values), field(c))
		},
		show: func(c *Config) string { return *field(c) },
	}
}

// takeMemoryLimit takes a size, or a share of what there is.
func takeMemoryLimit(c *Config, v string) []string {
	if digits, isShare := strings.CutSuffix(v, "%"); isShare {
		share, err := cli.Int(digits, 1, 100)
		if err != nil {
			return []string{"must be from 1% to 100%, or a size such as 512MiB"}
		}
		c.MemoryShare, c.MemoryLimit = share, 0
		return nil
	}
	n, err := cli.Size[int64](v, minMemory, maxMemory)
	if err != nil {
		return []string{err.Error() + "; or a share such as 80%"}
	}
	c.MemoryShare, c.MemoryLimit = 0, n
	return nil
}

func showMemoryLimit(c *Config) string {
	if c.MemoryLimit > 0 {
		return cli.FormatSize(c.MemoryLimit)
	}
	return strconv.Itoa(c.MemoryShare) + "%"
}
