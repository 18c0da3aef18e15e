/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The whole daemon in a child process, spoken to through its sockets. */
#include "daemon.h"

#include <getopt.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/paths.h"
#include "certd/scratch.h"
#include "io/sock.h"
#include "tls/context.h"
#include "unit.h"
#include "workload/client.h"

static char *root;
static pid_t daemon_pid;

static void
write_config(const char *name, const char *text)
{
	ck_assert_int_eq(file_mkdirs(paths_etc(""), 0755), TULLE_OK);
	ck_assert_int_eq(file_replace(paths_etc(name), text, strlen(text), 0644), TULLE_OK);
}

/* Everybody is whoever runs the test. */
static void
write_host(const char *identity, const char *listen)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
	    "trustDomain: daemon.test\nidentity: {%s}\nusers: {certd: \"%u\", relayd: \"%u\"}\nauthority: {listen: \"%s\"}\n", identity,
	    geteuid(), geteuid(), listen);
	write_config("tulle.yaml", text);
}

static void
set_up(void)
{
	log_set_threshold(LOG_LVL_ERROR + 1);
	root = scratch_new();
	ck_assert_int_eq(paths_init(root), TULLE_OK);
	write_host("default: ns/default/sa/host", "off");
}

static void
tear_down(void)
{
	scratch_free(root);
}

static void
end(void *arg, int signo)
{
	(void)signo;
	loop_stop(((struct daemon *)arg)->loop);
}

/* The daemon's own main(), without the command line. */
static int
child(void)
{
	struct daemon d = { .workload_fd = -1, .ctl_fd = -1 };
	struct buf problems = buf_new(65536);
	enum tulle_err e = config_read(&d.config, &problems);

	buf_free(&problems);
	if (e == TULLE_OK)
		e = tls_init();
	if (e == TULLE_OK)
		e = daemon_prepare(&d);
	if (e == TULLE_OK)
		e = loop_new(&d.loop);
	if (e == TULLE_OK)
		e = loop_on_signal(d.loop, SIGTERM, end, &d);
	if (e == TULLE_OK)
		e = daemon_start(&d);
	log_set_threshold(LOG_LVL_ERROR + 1);
	if (e == TULLE_OK)
		e = loop_run(d.loop);
	daemon_stop(&d);
	return e == TULLE_OK ? 0 : 1;
}

static json_t *
call(const char *command, json_t *args, enum tulle_err expected, const char *says)
{
	json_t *result = NULL;
	char *error = NULL;
	enum tulle_err e = ctl_call(paths_run("certd.sock"), command, args, 15000, &result, &error);

	ck_assert_msg(e == expected, "%s: %s, %s", command, tulle_strerror(e), error != NULL ? error : "");
	if (says != NULL)
		ck_assert_msg(error != NULL && strstr(error, says) != NULL, "%s: %s", command, error != NULL ? error : "no text");
	free(error);
	return result;
}

static void
done(const char *command, json_t *args)
{
	json_decref(call(command, args, TULLE_OK, NULL));
}

static void
refused(const char *command, json_t *args, const char *says)
{
	(void)call(command, args, TULLE_EINVAL, says);
}

static void
start(void)
{
	daemon_pid = fork();
	if (daemon_pid == 0)
		exit(child());
	for (int i = 0; i < 500; i++) {
		json_t *r = NULL;
		char *error = NULL;
		enum tulle_err e = ctl_call(paths_run("certd.sock"), "status", NULL, 5000, &r, &error);

		free(error);
		json_decref(r);
		if (e == TULLE_OK)
			return;
		(void)usleep(10000);
	}
	ck_abort_msg("the daemon does not answer");
}

static int
stop(void)
{
	int status;

	(void)kill(daemon_pid, SIGTERM);
	ck_assert_int_eq(waitpid(daemon_pid, &status, 0), daemon_pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* ---- a workload ---- */

static struct {
	struct loop *loop;
	struct workload_client *client;
	size_t n;
	char first[SPIFFE_ID_MAX + 1];
} fetched;

static void
dial(void *arg)
{
	int fd = -1;

	(void)arg;
	(void)sock_connect_unix(&fd, paths_run("identity/workload.sock"));
	workload_client_connected(fetched.client, fd, "not there");
}

static bool
update(void *arg, const struct workload_update *u)
{
	struct identity_set *set;

	(void)arg;
	ck_assert_int_eq(identity_set_new(&set, u->svids, u->n_svids, u->bundles, u->n_bundles, 1, NULL, NULL), TULLE_OK);
	identity_set_unref(set);
	fetched.n = u->n_svids;
	(void)snprintf(fetched.first, sizeof(fetched.first), "%s", u->svids[0].id);
	return true;
}

static void
fetch(size_t wanted)
{
	uint64_t until = clock_mono_ms() + 5000;

	if (fetched.loop == NULL) {
		ck_assert_int_eq(tls_init(), TULLE_OK);
		ck_assert_int_eq(loop_new(&fetched.loop), TULLE_OK);
		ck_assert_int_eq(
		    workload_client_new(&fetched.client, fetched.loop, &(struct workload_events){ dial, update }, NULL), TULLE_OK);
	}
	while (fetched.n != wanted) {
		ck_assert_msg(clock_mono_ms() < until, "%zu identities, not %zu: %s", fetched.n, wanted,
		    workload_client_state(fetched.client).error);
		ck_assert_int_eq(loop_tick(fetched.loop, 10), TULLE_OK);
	}
}

START_TEST(identities_are_served_and_follow_the_files)
{
	json_t *status;

	set_up();
	start();
	fetch(1);
	ck_assert_str_eq(fetched.first, "spiffe://daemon.test/ns/default/sa/host");
	write_config("identities.yaml", "- {serviceAccount: shop/cart, match: {uid: \"99\"}}\n");
	done("reload", NULL);
	fetch(2); /* pushed on the open stream; the default stays the first */
	ck_assert_str_eq(fetched.first, "spiffe://daemon.test/ns/default/sa/host");
	write_config("identities.yaml", "- {serviceAccount: shop}\n");
	refused("reload", NULL, "identities.yaml:1:");
	status = call("status", NULL, TULLE_OK, NULL);
	ck_assert_str_eq(value_text(status, "state"), "ready");
	ck_assert_str_eq(value_text(status, "source"), "embedded");
	ck_assert_int_eq((int)value_int(status, "streams"), 1);
	ck_assert_uint_eq(json_array_size(json_object_get(status, "identities")), 2);
	json_decref(status);
	done("renew", NULL);
	ck_assert_int_eq(stop(), 0);
	workload_client_free(fetched.client);
	loop_free(fetched.loop);
	tear_down();
}
END_TEST

START_TEST(a_process_is_explained)
{
	json_t *r;

	set_up();
	start();
	r = call("why", json_pack("{si}", "pid", (int)getpid()), TULLE_OK, NULL);
	ck_assert_uint_eq(json_array_size(json_object_get(r, "identities")), 1);
	ck_assert_int_eq((int)value_int(r, "uid"), (int)geteuid());
	json_decref(r);
	refused("why", json_pack("{si}", "pid", -1), "ended");
	ck_assert_int_eq(stop(), 0);
	tear_down();
}
END_TEST

START_TEST(tokens_and_members_by_the_control_socket)
{
	json_t *r;
	char id[32], address[64];
	struct addr at;
	int fd, status;

	set_up();
	start();
	refused("token", json_pack("{s[s]}", "allow", "a/b"), "nobody could join");
	refused("join", json_pack("{ss}", "token", "nonsense"), "not a token");
	ck_assert_int_eq(stop(), 0);
	ck_assert_int_eq(addr_parse(&at, "127.0.0.1:1"), TULLE_OK);
	at.port = 0;
	ck_assert_int_eq(sock_listen(&fd, &at, 1, false), TULLE_OK);
	ck_assert_int_eq(sock_local(fd, &at), TULLE_OK);
	write_host("ttl: 10m", addr_format(&at, address));
	daemon_pid = fork();
	if (daemon_pid == 0)
		exit(freopen("/dev/null", "w", stderr) != NULL ? child() : 0);
	ck_assert_int_eq(waitpid(daemon_pid, &status, 0), daemon_pid); /* the port is taken */
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	(void)close(fd);
	start();
	r = call("token", json_pack("{s[s] si si}", "allow", "shop/cart", "ttl", 60, "uses", 3), TULLE_OK, NULL);
	(void)snprintf(id, sizeof(id), "%s", value_text(r, "id"));
	ck_assert_str_eq(value_text(r, "address"), address);
	json_decref(r);
	r = call("token", json_pack("{s[s] ss}", "allow", "shop/cart", "address", "10.0.0.9"), TULLE_OK, NULL);
	ck_assert_ptr_nonnull(strstr(value_text(r, "address"), "10.0.0.9:"));
	json_decref(r);
	refused("token", json_pack("{s[s] ss}", "allow", "shop/cart", "address", "host.example"), "IP address");
	refused("token", json_pack("{s[i]}", "allow", 5), "NAMESPACE");
	refused("token", json_pack("{s[s] si}", "allow", "shop/cart", "uses", 0), "uses");
	r = call("tokens", NULL, TULLE_OK, NULL);
	ck_assert_uint_eq(json_array_size(json_object_get(r, "tokens")), 2);
	json_decref(r);
	done("token-revoke", json_pack("{ss}", "id", id));
	refused("token-revoke", json_pack("{ss}", "id", id), "no such token");
	refused("member", json_pack("{ss ss}", "do", "ban", "node", "0123456789abcdef"), "no such member");
	refused("member", json_pack("{ss ss}", "do", "forget", "node", "0123456789abcdef"), "no such member");
	refused("member", json_pack("{ss}", "do", "dance"), "ban, unban or forget");
	ck_assert_int_eq(stop(), 0);
	tear_down();
}
END_TEST

START_TEST(a_member_that_has_not_joined_says_so)
{
	json_t *r;

	set_up();
	write_host("source: fleet, default: ns/default/sa/host", "off");
	start();
	r = call("status", NULL, TULLE_OK, NULL);
	ck_assert_str_eq(value_text(r, "state"), "not joined");
	json_decref(r);
	refused("token", NULL, "member of a fleet");
	refused("tokens", NULL, "member of a fleet");
	refused("token-revoke", NULL, "member of a fleet");
	refused("member", NULL, "member of a fleet");
	ck_assert_int_eq(stop(), 0);
	tear_down();
}
END_TEST

/* ---- ca_verbs.c, each in a process of its own as on the command line ---- */

static int
ca(const char *verb, const char *option, const char *value, const char *option2, const char *value2)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		char *argv[10] = { (char *)(uintptr_t)"ca", (char *)(uintptr_t)"--root", root, (char *)(uintptr_t)verb };
		int argc = 4;
		const char *rest[] = { option, value, option2, value2 };

		for (size_t i = 0; i < 4 && rest[i] != NULL; i++)
			argv[argc++] = (char *)(uintptr_t)rest[i];
		optind = 1;
		if (freopen("/dev/null", "w", stderr) == NULL || freopen("/dev/null", "w", stdout) == NULL)
			exit(100);
		exit(ca_main(argc, argv));
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

START_TEST(the_verbs_of_the_root)
{
	char command[2048], cert[256], key[256];

	set_up();
	(void)snprintf(cert, sizeof(cert), "%s/root.pem", root);
	(void)snprintf(key, sizeof(key), "%s/root.key", root);
	(void)snprintf(command, sizeof(command),
	    "openssl ecparam -name prime256v1 -genkey -noout -out %s 2>/dev/null && openssl req -x509 -new -key %s -days 30 -subj /CN=r "
	    "-out %s -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign "
	    "-addext subjectAltName=URI:spiffe://daemon.test 2>/dev/null",
	    key, key, cert);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(ca("show", NULL, NULL, NULL, NULL), 0);
	ck_assert_int_eq(ca("dance", NULL, NULL, NULL, NULL), 2);
	ck_assert_int_eq(ca("import", "--cert", cert, NULL, NULL), 2);
	ck_assert_int_eq(ca("import", "--cert", cert, "--key", "/no/such/file"), 1);
	ck_assert_int_eq(ca("import", "--cert", cert, "--key", cert), 1);
	ck_assert_int_eq(ca("import", "--cert", cert, "--key", key), 0);
	ck_assert_int_eq(ca("import", "--cert", cert, "--key", key), 0);
	ck_assert_int_eq(ca("create", NULL, NULL, NULL, NULL), 0); /* there is one */
	ck_assert_int_eq(ca("show", "--json", NULL, NULL, NULL), 0);
	write_host("default: ns/default/sa/host, ttl: 1h", "off");
	start();
	ck_assert_int_eq(ca("show", NULL, NULL, NULL, NULL), 1); /* it runs: ask it */
	ck_assert_int_eq(stop(), 0);
	write_config("tulle.yaml", "trustDomain: other.test\n");
	ck_assert_int_eq(ca("show", NULL, NULL, NULL, NULL), 1);
	write_config("tulle.yaml", "nonsense: 1\n");
	ck_assert_int_eq(ca("show", NULL, NULL, NULL, NULL), 1);
	tear_down();
}
END_TEST

UNIT_MAIN("certd", identities_are_served_and_follow_the_files, a_process_is_explained,
    tokens_and_members_by_the_control_socket, a_member_that_has_not_joined_says_so, the_verbs_of_the_root)
