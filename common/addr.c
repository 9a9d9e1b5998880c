/*
 * addr - a socket address as the configuration writes it; see addr.h.
 *
 * Every struct addr made here has all its bytes set, so that equal addresses
 * are equal byte for byte, in a plan too.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "common/addr.h"

_Static_assert(ADDR_PATH_SIZE == sizeof(((struct sockaddr_un *)0)->sun_path),
    "an addr holds any path that a socket can have");

/* Text being parsed, and where the complaint goes. */
struct parse {
	const char *text;
	enum addr_use use;
	char *why;
	size_t why_size;
};

static int printf_like(2, 3)
    refuse(const struct parse *parse, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(parse->why, parse->why_size, format, args);
	va_end(args);
	return -EINVAL;
}

static bool
is_digits(const char *text)
{
	return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static int
parse_port(const struct parse *parse, const char *text, uint16_t *port)
{
	const struct servent *entry;
	unsigned long number = 0;

	if (*text == '\0')
		return refuse(parse,
		    "\"%.60s\" has no port: write ADDRESS:PORT", parse->text);
	if (!is_digits(text)) {
		entry = strlen(text) < 32 ? getservbyname(text, "tcp") : NULL;
		if (entry == NULL)
			return refuse(parse,
			    "port \"%.40s\" is neither a number nor a TCP "
			    "service in /etc/services",
			    text);
		number = ntohs((uint16_t)entry->s_port);
	}
	for (const char *p = text; is_digits(text) && *p != '\0'; p++) {
		number = number * 10 + (unsigned long)(*p - '0');
		if (number > UINT16_MAX)
			return refuse(parse,
			    "port %.40s is too large: ports end at 65535",
			    text);
	}
	if (number == 0 && parse->use == ADDR_FOR_BACKEND)
		return refuse(parse, "\"%.60s\": a backend's port can't be 0",
		    parse->text);
	*port = (uint16_t)number;
	return 0;
}

static int
parse_unix(const struct parse *parse, const char *path, struct addr *addr)
{
	size_t length = strlen(path);

	addr->kind = ADDR_UNIX;
	if (*path != '/' && *path != '@')
		return refuse(parse,
		    "\"%.60s\": write unix:/PATH, absolute, or unix:@NAME for "
		    "an abstract socket",
		    parse->text);
	if (length < 2)
		return refuse(parse, "\"%.60s\": the %s is missing",
		    parse->text, *path == '/' ? "path" : "name after @");
	if (length >= ADDR_PATH_SIZE)
		return refuse(parse,
		    "the path \"%.40s...\" is %zu bytes long: a socket's is at "
		    "most %d",
		    path, length, ADDR_PATH_SIZE - 1);
	memcpy(addr->path, path, length + 1);
	return 0;
}

/* systemd.socket(5), FileDescriptorName=: what can be a name. */
static int
parse_passed(const struct parse *parse, const char *name, struct addr *addr)
{
	size_t length = strlen(name);

	if (parse->use == ADDR_FOR_BACKEND)
		return refuse(parse,
		    "\"%.60s\" is a listener's address: it can't be connected "
		    "to",
		    parse->text);
	if (length == 0)
		return refuse(parse,
		    "\"%s\": the name after systemd: is missing, which is the "
		    "FileDescriptorName= of the .socket unit",
		    parse->text);
	if (length >= ADDR_PATH_SIZE)
		return refuse(parse,
		    "the name \"%.40s...\" is too long: at most %d bytes", name,
		    ADDR_PATH_SIZE - 1);
	for (const char *p = name; *p != '\0'; p++) {
		if (*p < ' ' || *p > '~' || *p == ':')
			return refuse(parse,
			    "\"%.60s\": a FileDescriptorName= has printable "
			    "ASCII characters, but no colon",
			    parse->text);
	}
	addr->kind = ADDR_PASSED;
	memcpy(addr->path, name, length + 1);
	return 0;
}

static int
parse_builtin(const struct parse *parse, const char *name, struct addr *addr)
{
	if (parse->use == ADDR_FOR_LISTEN)
		return refuse(parse,
		    "\"%.60s\" is a backend's address: it can't be listened on",
		    parse->text);
	if (strcmp(name, "echo") == 0)
		addr->kind = ADDR_ECHO;
	else if (strcmp(name, "discard") == 0)
		addr->kind = ADDR_DISCARD;
	else if (strcmp(name, "dashboard") == 0)
		return refuse(parse,
		    "builtin:dashboard is not in this version "
		    "of srvd");
	else
		return refuse(parse,
		    "\"%.60s\" is not known: there are builtin:echo and "
		    "builtin:discard",
		    parse->text);
	return 0;
}

static int
parse_ipv6(const struct parse *parse, struct addr *addr)
{
	char ip[INET6_ADDRSTRLEN];
	const char *end = strchr(parse->text, ']');
	size_t length;

	if (end == NULL)
		return refuse(parse, "\"%.60s\": the ] is missing",
		    parse->text);
	length = (size_t)(end - parse->text) - 1;
	if (length >= sizeof(ip))
		return refuse(parse, "\"%.60s\" is not an IPv6 address",
		    parse->text);
	memcpy(ip, parse->text + 1, length);
	ip[length] = '\0';
	if (strchr(ip, '%') != NULL)
		return refuse(parse,
		    "\"%.60s\": an address with an interface (%%) can't be "
		    "used",
		    parse->text);
	if (inet_pton(AF_INET6, ip, addr->ip) != 1)
		return refuse(parse, "\"%s\" is not an IPv6 address", ip);
	if (end[1] != ':')
		return refuse(parse, "\"%.60s\" has no port: write [%s]:PORT",
		    parse->text, ip);
	addr->kind = ADDR_TCP6;
	return parse_port(parse, end + 2, &addr->port);
}

/* RFC 1123, 2.1, and the underscore that many networks use. */
static bool
is_host_name(const char *name)
{
	size_t label = 0;

	for (const char *p = name; *p != '\0'; p++) {
		if (*p == '.' && label == 0)
			return false;
		if (*p != '.' && *p != '-' && *p != '_' &&
		    !(*p >= '0' && *p <= '9') && !(*p >= 'a' && *p <= 'z') &&
		    !(*p >= 'A' && *p <= 'Z'))
			return false;
		label = *p == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return *name != '\0' && *name != '-';
}

static int
parse_name(const struct parse *parse, struct addr *addr)
{
	const char *last = strrchr(addr->path, '.');

	/* A name whose last label is a number would be an IPv4 address. */
	if (is_digits(last == NULL ? addr->path : last + 1))
		return refuse(parse, "\"%s\" is not an IPv4 address",
		    addr->path);
	if (!is_host_name(addr->path))
		return refuse(parse,
		    "\"%s\" is neither an address nor the name of a host",
		    addr->path);
	if (parse->use == ADDR_FOR_LISTEN)
		return refuse(parse,
		    "\"%s\" is a name: write the address to listen on, such as "
		    "127.0.0.1:80",
		    addr->path);
	addr->kind = ADDR_NAME;
	return 0;
}

static int
parse_host(const struct parse *parse, const char *colon, struct addr *addr)
{
	size_t length = (size_t)(colon - parse->text);

	if (length == 0)
		return refuse(parse,
		    "\"%.60s\" has no address: write 127.0.0.1:PORT, "
		    "[::1]:PORT or \"*:PORT\"",
		    parse->text);
	if (length >= sizeof(addr->path))
		return refuse(parse,
		    "the name \"%.40s...\" is too long: at most %d bytes",
		    parse->text, ADDR_PATH_SIZE - 1);
	memcpy(addr->path, parse->text, length);
	if (strcmp(addr->path, "*") == 0) {
		addr->kind = ADDR_ANY;
		if (parse->use == ADDR_FOR_BACKEND)
			return refuse(parse,
			    "\"%.60s\": a backend needs one address, not *",
			    parse->text);
	} else if (inet_pton(AF_INET, addr->path, addr->ip) == 1) {
		addr->kind = ADDR_TCP4;
	} else {
		return parse_name(parse, addr);
	}
	memset(addr->path, 0, sizeof(addr->path));
	return 0;
}

static int
parse_tcp(const struct parse *parse, struct addr *addr)
{
	const char *colon = strchr(parse->text, ':');
	int error;

	if (colon == NULL)
		return refuse(parse,
		    "\"%.60s\" has no port: write ADDRESS:PORT, or unix:/PATH "
		    "for a Unix-domain socket",
		    parse->text);
	if (strchr(colon + 1, ':') != NULL)
		return refuse(parse,
		    "\"%.60s\" has more than one colon: an IPv6 address stands "
		    "in brackets, [::1]:80",
		    parse->text);
	error = parse_host(parse, colon, addr);
	if (error < 0)
		return error;
	return parse_port(parse, colon + 1, &addr->port);
}

/* What follows prefix in text, or NULL. */
static const char *
after(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static int
parse_any(const struct parse *parse, struct addr *addr)
{
	const char *rest;

	if (*parse->text == '\0')
		return refuse(parse, "the address is empty");
	if ((rest = after(parse->text, "unix:")) != NULL)
		return parse_unix(parse, rest, addr);
	if ((rest = after(parse->text, "systemd:")) != NULL)
		return parse_passed(parse, rest, addr);
	if ((rest = after(parse->text, "builtin:")) != NULL)
		return parse_builtin(parse, rest, addr);
	if (after(parse->text, "vsock:") != NULL ||
	    after(parse->text, "srv:") != NULL)
		return refuse(parse,
		    "\"%.60s\": this kind of address is not in this version "
		    "of srvd",
		    parse->text);
	if (*parse->text == '/' || *parse->text == '@')
		return refuse(parse,
		    "\"%.60s\": a Unix-domain socket is written unix:%.60s",
		    parse->text, parse->text);
	if (*parse->text == '[')
		return parse_ipv6(parse, addr);
	return parse_tcp(parse, addr);
}

int
addr_parse(const char *text, enum addr_use use, struct addr *addr, char *why,
    size_t why_size)
{
	struct parse parse = {.text = text, .use = use};
	int error;

	parse.why = why;
	parse.why_size = why_size;
	memset(addr, 0, sizeof(*addr));
	error = parse_any(&parse, addr);
	if (error < 0)
		memset(addr, 0, sizeof(*addr));
	return error;
}

const char *
addr_format(const struct addr *addr, char text[ADDR_TEXT_SIZE])
{
	char ip[INET6_ADDRSTRLEN] = "";

	switch (addr->kind) {
	case ADDR_TCP4:
		(void)inet_ntop(AF_INET, addr->ip, ip, sizeof(ip));
		(void)snprintf(text, ADDR_TEXT_SIZE, "%s:%u", ip, addr->port);
		break;
	case ADDR_TCP6:
		(void)inet_ntop(AF_INET6, addr->ip, ip, sizeof(ip));
		(void)snprintf(text, ADDR_TEXT_SIZE, "[%s]:%u", ip, addr->port);
		break;
	case ADDR_ANY:
		(void)snprintf(text, ADDR_TEXT_SIZE, "*:%u", addr->port);
		break;
	case ADDR_NAME:
		(void)snprintf(text, ADDR_TEXT_SIZE, "%.*s:%u",
		    ADDR_PATH_SIZE - 1, addr->path, addr->port);
		break;
	case ADDR_UNIX:
		(void)snprintf(text, ADDR_TEXT_SIZE, "unix:%.*s",
		    ADDR_PATH_SIZE - 1, addr->path);
		break;
	case ADDR_PASSED:
		(void)snprintf(text, ADDR_TEXT_SIZE, "systemd:%.*s",
		    ADDR_PATH_SIZE - 1, addr->path);
		break;
	case ADDR_ECHO:
		(void)snprintf(text, ADDR_TEXT_SIZE, "builtin:echo");
		break;
	case ADDR_DISCARD:
		(void)snprintf(text, ADDR_TEXT_SIZE, "builtin:discard");
		break;
	default:
		(void)snprintf(text, ADDR_TEXT_SIZE, "-");
		break;
	}
	return text;
}

static int
unix_to_sockaddr(const struct addr *addr, struct sockaddr_un *un)
{
	size_t length = strnlen(addr->path, sizeof(addr->path));

	if (length < 2 || length >= sizeof(un->sun_path))
		return -EINVAL;
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, addr->path, length);
	length += offsetof(struct sockaddr_un, sun_path);
	/* unix(7): a path counts with its NUL, an abstract name without. */
	if (addr->path[0] == '@')
		un->sun_path[0] = '\0';
	else
		length++;
	return (int)length;
}

int
addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *ss)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	switch (addr->kind) {
	case ADDR_TCP4:
		in->sin_family = AF_INET;
		in->sin_port = htons(addr->port);
		memcpy(&in->sin_addr, addr->ip, sizeof(in->sin_addr));
		return sizeof(*in);
	case ADDR_TCP6:
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(addr->port);
		memcpy(&in6->sin6_addr, addr->ip, sizeof(in6->sin6_addr));
		return sizeof(*in6);
	case ADDR_UNIX:
		return unix_to_sockaddr(addr, (struct sockaddr_un *)ss);
	default:
		return -EINVAL;
	}
}

static void
unix_from_sockaddr(struct addr *addr, const struct sockaddr_un *un,
    socklen_t length)
{
	size_t bytes = length - offsetof(struct sockaddr_un, sun_path);

	addr->kind = ADDR_UNIX;
	if (bytes > sizeof(addr->path))
		bytes = sizeof(addr->path);
	memcpy(addr->path, un->sun_path, bytes);
	addr->path[sizeof(addr->path) - 1] = '\0';
	if (bytes == 0 || addr->path[0] != '\0') {
		/* Kernels may count what stands after a path's NUL. */
		bytes = strlen(addr->path);
		memset(addr->path + bytes, 0, sizeof(addr->path) - bytes);
		return;
	}
	/* An abstract name may hold NUL bytes; they show as '@' too. */
	for (size_t i = 0; i < bytes && i + 1 < sizeof(addr->path); i++) {
		if (addr->path[i] == '\0')
			addr->path[i] = '@';
	}
}

void
addr_from_sockaddr(struct addr *addr, const struct sockaddr *sa,
    socklen_t length)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

	memset(addr, 0, sizeof(*addr));
	if (length < sizeof(sa->sa_family))
		return;
	if (sa->sa_family == AF_INET && length >= sizeof(*in)) {
		addr->kind = ADDR_TCP4;
		addr->port = ntohs(in->sin_port);
		memcpy(addr->ip, &in->sin_addr, sizeof(in->sin_addr));
	} else if (sa->sa_family == AF_INET6 && length >= sizeof(*in6)) {
		addr->kind = ADDR_TCP6;
		addr->port = ntohs(in6->sin6_port);
		memcpy(addr->ip, &in6->sin6_addr, sizeof(in6->sin6_addr));
	} else if (sa->sa_family == AF_UNIX) {
		unix_from_sockaddr(addr, (const struct sockaddr_un *)sa,
		    length);
	}
}

int
addr_compare(const struct addr *a, const struct addr *b)
{
	int order = (int)a->kind - (int)b->kind;

	if (order == 0)
		order = (int)a->port - (int)b->port;
	if (order == 0)
		order = memcmp(a->ip, b->ip, sizeof(a->ip));
	if (order == 0)
		order = strncmp(a->path, b->path, sizeof(a->path));
	return order;
}

int
addr_equal(const struct addr *a, const struct addr *b)
{
	return addr_compare(a, b) == 0;
}
