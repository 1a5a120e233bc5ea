/* See server/address.h. */
#include "server/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

enum { PORT_DIGITS_MAX = 5 };

static bool parse_port(const char *text, uint16_t *port)
{
    uint32_t number = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > PORT_DIGITS_MAX || text[digits] != '\0') return false;
    for (size_t i = 0; i < digits; i++) number = number * 10 + (uint32_t)(text[i] - '0');
    if (number > UINT16_MAX) return false;
    *port = (uint16_t)number;
    return true;
}

int address_split(const char *address, char *host, uint16_t *port)
{
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || !parse_port(colon + 1, port)) return HF_EINVAL;

    const char *begin = address;
    size_t bytes = (size_t)(colon - address);
    if (*begin == '[') { /* [::1]:7420 */
        if (bytes < 3 || begin[bytes - 1] != ']') return HF_EINVAL;
        begin += 1;
        bytes -= 2;
    }
    if (bytes >= ADDRESS_TEXT_BYTES) return HF_EINVAL;
    memcpy(host, begin, bytes);
    host[bytes] = '\0';
    if (strcmp(host, "localhost") == 0) snprintf(host, ADDRESS_TEXT_BYTES, "127.0.0.1");
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) != 1 && inet_pton(AF_INET6, host, &v6) != 1) return HF_EINVAL;
    return HF_OK;
}

int address_plain(const char *address, char *text)
{
    char host[ADDRESS_TEXT_BYTES];
    char plain[INET6_ADDRSTRLEN] = "";
    uint16_t port = 0;
    struct in6_addr bytes;
    int rv = address_split(address, host, &port);
    if (rv != HF_OK) return rv;
    int family = strchr(host, ':') != NULL ? AF_INET6 : AF_INET;
    if (inet_pton(family, host, &bytes) != 1) return HF_EINVAL;
    if (inet_ntop(family, &bytes, plain, sizeof plain) == NULL) return HF_EINVAL;
    snprintf(text, ADDRESS_TEXT_BYTES, family == AF_INET6 ? "[%s]:%u" : "%s:%u", plain,
             (unsigned)port);
    return HF_OK;
}

bool address_is_any(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) return v4.s_addr == htonl(INADDR_ANY);
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6);
}

bool address_is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
