/* Log lines in logfmt, one a call, to standard error:
 *   ts=2026-01-31T12:00:00.123Z level=info msg="ready" listen=127.0.0.1:7420
 * Values never come unescaped from a client: the caller quotes them. Stored responses, secrets and
 * other clients' tokens are never logged. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/** Lines below `level` are dropped from now on; LOG_INFO at start. */
void log_set_level(enum log_level level);

/** Write one line: `message` is a short constant sentence, `format` the key=value pairs that
 * follow (printf's, may be ""). Any thread; a line is written whole, at most 1,024 bytes. */
void log_line(enum log_level level, const char *message, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_info(message, ...)  log_line(LOG_INFO, message, __VA_ARGS__)
#define log_warn(message, ...)  log_line(LOG_WARN, message, __VA_ARGS__)
#define log_error(message, ...) log_line(LOG_ERROR, message, __VA_ARGS__)

#endif
