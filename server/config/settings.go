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
		{"admin", "ADMIN_LISTEN", adminOff, takeAdmin, showAdmin},
		{analyzersFlag, "ANALYZERS", defaultAnalyzers, takeAnalyzers, showAnalyzers},
		number("workers", "NUM_WORKERS", "0", 0, maxWorkers, func(c *Config) *int { return &c.Workers }),
		number("max-queue", "MAX_QUEUE_SIZE", "5000", 1, maxQueue, func(c *Config) *int { return &c.MaxQueue }),
		number("max-retries", "MAX_RETRIES", "2", 0, maxRetries, func(c *Config) *int { return &c.MaxRetries }),
		duration("retry-delay", "RETRY_DELAY", "0.5", 0, maxRetryDelay, func(c *Config) *time.Duration { return &c.RetryDelay }),
		duration("queue-timeout", "QUEUE_TIMEOUT", "60", minPatience, maxPatience, func(c *Config) *time.Duration { return &c.QueueTimeout }),
		duration("health-check-interval", "HEALTH_CHECK_INTERVAL", "5", minHealthCheck, maxHealthCheck, func(c *Config) *time.Duration { return &c.HealthCheckInterval }),
		duration("silence", "SILENCE", "1", minSilence, maxPatience, func(c *Config) *time.Duration { return &c.Silence }),
		duration("ack-timeout", "ACK_TIMEOUT", "10", minPatience, maxPatience, func(c *Config) *time.Duration { return &c.AckTimeout }),
		duration("spill-after", "SPILL_AFTER", "0.2", minPatience, maxPatience, func(c *Config) *time.Duration { return &c.SpillAfter }),
		duration("slow-start", "SLOW_START", "10", 0, maxPatience, func(c *Config) *time.Duration { return &c.SlowStart }),
		duration("grace", "GRACE", "25", 0, maxPatience, func(c *Config) *time.Duration { return &c.Grace }),
		folder("dead-letter-dir", "DEAD_LETTER_DIR", "./dead-letters", func(c *Config) *string { return &c.DeadLetterDir }),
		size("dead-letter-max", "DEAD_LETTER_MAX_BYTES", "1GiB", minDeadLetters, maxDeadLetters, func(c *Config) *int { return &c.DeadLetterMax }),
		size("max-frame", "MAX_FRAME_BYTES", "1MiB", minFrameBytes, maxFrameBytes, func(c *Config) *int { return &c.MaxFrame }),
		number("max-connections", "MAX_CONNECTIONS", "100000", 1, maxConnections, func(c *Config) *int { return &c.MaxConnections }),
		number("max-connections-per-ip", "MAX_CONNECTIONS_PER_IP", "0", 0, maxConnections, func(c *Config) *int { return &c.MaxConnectionsPerIP }),
		size("byte-budget", "BYTE_BUDGET", "256MiB", minByteBudget, maxByteBudget, func(c *Config) *int64 { return &c.ByteBudget }),
		{"memory-limit", "MEMORY_LIMIT", "80%", takeMemoryLimit, showMemoryLimit},
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

// folder takes any path: whether it can be written is seen when it is.
func folder(flag, env, preset string, field func(*Config) *string) setting {
	return setting{flag, env, preset,
		func(c *Config, v string) []string {
			*field(c) = v
			return nil
		},
		func(c *Config) string { return *field(c) },
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
	return setting{flag, env, preset,
		func(c *Config, v string) []string {
			n, err := cli.Int(v, low, high)
			return accept(n, err, field(c))
		},
		func(c *Config) string { return strconv.Itoa(*field(c)) },
	}
}

func duration(flag, env, preset string, low, high time.Duration, field func(*Config) *time.Duration) setting {
	return setting{flag, env, preset,
		func(c *Config, v string) []string {
			d, err := cli.Duration(v, low, high)
			return accept(d, err, field(c))
		},
		func(c *Config) string { return field(c).String() },
	}
}

func size[T int | int64](flag, env, preset string, low, high T, field func(*Config) *T) setting {
	return setting{flag, env, preset,
		func(c *Config, v string) []string {
			n, err := cli.Size(v, low, high)
			return accept(n, err, field(c))
		},
		func(c *Config) string { return cli.FormatSize(int64(*field(c))) },
	}
}

// choice presets the first of its values.
func choice(flag, env string, values []string, field func(*Config) *string) setting {
	return choiceOf(flag, env, values[0], values, field)
}

func choiceOf(flag, env, preset string, values []string, field func(*Config) *string) setting {
	return setting{flag, env, preset,
		func(c *Config, v string) []string {
			return accept(v, cli.OneOf(v, values), field(c))
		},
		func(c *Config) string { return *field(c) },
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
