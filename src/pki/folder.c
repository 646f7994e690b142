/* SPDX-FileCopyrightText: Conflux authors
 * SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder and its files. New content goes to a file of another name, which
 * gets the right one when all is on disk: nobody ever reads half a key, and a
 * file that is there is not overwritten by accident.
 */
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- open -------------------------------------------------------------- */

static int
open_folder(struct pki *pki, char **error)
{
	if (mkdir(pki->folder, 0755) < 0 && errno != EEXIST)
		return text_error(error, -errno, "%s: %s", pki->folder,
				  strerror(errno));
	pki->dir = open(pki->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pki->dir < 0)
		return text_error(error, -errno, "%s: %s", pki->folder,
				  strerror(errno));
	/* Whoever else works in it is done in a moment. */
	while (flock(pki->dir, LOCK_EX) < 0)
		if (errno != EINTR)
			return text_error(error, -errno, "%s: %s", pki->folder,
					  strerror(errno));
	return 0;
}

int
pki_open(const char *folder, unsigned days, struct text *told, struct pki **out,
	 char **error)
{
	struct pki *pki = calloc(1, sizeof(*pki));
	int rc;

	*error = NULL;
	if (!pki)
		return -ENOMEM;
	pki->dir = -1;
	pki->days = days;
	pki->told = told;
	pki->folder = strdup(folder);
	rc = pki->folder ? open_folder(pki, error) : -ENOMEM;
	if (rc < 0)
		pki_close(pki);
	else
		*out = pki;
	return rc;
}

void
pki_close(struct pki *pki)
{
	if (!pki)
		return;
	if (pki->dir >= 0)
		close(pki->dir);
	X509_free(pki->authority);
	X509_CRL_free(pki->revoked);
	EVP_PKEY_free(pki->key);
	free(pki->folder);
	free(pki);
}

/* ---- messages ---------------------------------------------------------- */

void
folder_tell(const struct pki *pki, const char *name, const char *format, ...)
{
	char what[256];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	text_printf(pki->told, "%s/%s: %s\n", pki->folder, name, what);
}

static int
failed(const struct pki *pki, const char *name, int rc, char **error)
{
	return text_error(error, rc, "%s/%s: %s", pki->folder, name,
			  strerror(-rc));
}

int
folder_failed(const struct pki *pki, const char *name, char **error)
{
	char reason[256] = "no memory";
	unsigned long code = ERR_get_error();

	if (code)
		ERR_error_string_n(code, reason, sizeof(reason));
	ERR_clear_error();
	return text_error(error, -EIO, "%s/%s: %s", pki->folder, name, reason);
}

/* ---- files ------------------------------------------------------------- */

bool
folder_has(const struct pki *pki, const char *name)
{
	return faccessat(pki->dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int
read_into(int fd, BIO *bio)
{
	size_t total = 0;
	char part[4096];
	ssize_t n;

	while ((n = read(fd, part, sizeof(part))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		total += (size_t)n;
		if (total > PKI_FILE_OCTETS)
			return -EFBIG;
		if (BIO_write(bio, part, (int)n) != n)
			return -ENOMEM;
	}
	OPENSSL_cleanse(part, sizeof(part));
	return 0;
}

int
folder_read(const struct pki *pki, const char *name, BIO **out, char **error)
{
	int fd = openat(pki->dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int rc = fd < 0 ? -errno : 0;
	BIO *bio = NULL;

	if (rc == 0) {
		bio = BIO_new(BIO_s_mem());
		rc = bio ? read_into(fd, bio) : -ENOMEM;
		close(fd);
	}
	if (rc < 0) {
		BIO_free(bio);
		return failed(pki, name, rc, error);
	}
	*out = bio;
	return 0;
}

static int
write_all(int fd, const char *data, size_t length)
{
	ssize_t n;

	while (length) {
		n = write(fd, data, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		length -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* Gives the file its name. */
static int
name_it(const struct pki *pki, const char *from, const char *to, bool replace)
{
	if (replace)
		return renameat(pki->dir, from, pki->dir, to) < 0 ? -errno : 0;
	return linkat(pki->dir, from, pki->dir, to, 0) < 0 ? -errno : 0;
}

int
folder_write(const struct pki *pki, const char *name, BIO *content, mode_t mode,
	     bool replace, char **error)
{
	char temporary[PKI_FILE_NAME + 8];
	char *data;
	long length = BIO_get_mem_data(content, &data);
	int fd, rc;

	/* We hold the lock: what has this name is left from a crash. */
	snprintf(temporary, sizeof(temporary), ".%s.new", name);
	unlinkat(pki->dir, temporary, 0);
	fd = openat(pki->dir, temporary,
		    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		    PKI_SECRET);
	if (fd < 0)
		return failed(pki, name, -errno, error);
	rc = write_all(fd, data, (size_t)length);
	if (rc == 0 && fchmod(fd, mode) < 0)
		rc = -errno;
	close(fd);
	if (rc == 0)
		rc = name_it(pki, temporary, name, replace);
	unlinkat(pki->dir, temporary, 0);
	if (rc == 0 && fsync(pki->dir) < 0)
		rc = -errno;
	return rc < 0 ? failed(pki, name, rc, error) : 0;
}

int
folder_move(const struct pki *pki, const char *from, const char *folder,
	    const char *to, char **error)
{
	char path[3 * PKI_FILE_NAME];

	snprintf(path, sizeof(path), "%s/%s", folder, to);
	if (mkdirat(pki->dir, folder, 0755) < 0 && errno != EEXIST)
		return failed(pki, folder, -errno, error);
	if (renameat(pki->dir, from, pki->dir, path) < 0)
		return failed(pki, from, -errno, error);
	return 0;
}

/* Is it NAME-SERIAL.pem? */
static bool
is_replaced(const char *file, const char *name)
{
	size_t length = strlen(name);
	const char *serial;

	if (strncmp(file, name, length) != 0 || file[length] != '-')
		return false;
	serial = file + length + 1;
	return strcmp(serial + strspn(serial, "0123456789ABCDEF"), ".pem") == 0;
}

int
folder_each_replaced(struct pki *pki, const char *name,
		     int (*visit)(struct pki *pki, const char *path,
				  char **error),
		     char **error)
{
	int fd = openat(pki->dir, "replaced",
			O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char path[2 * PKI_FILE_NAME];
	struct dirent *entry;
	int rc = 0;

	if (fd < 0)
		return errno == ENOENT ? 0
				       : failed(pki, "replaced", -errno, error);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (rc == 0 && (entry = readdir(dir))) {
		if (!is_replaced(entry->d_name, name))
			continue;
		snprintf(path, sizeof(path), "replaced/%s", entry->d_name);
		rc = visit(pki, path, error);
	}
	closedir(dir);
	return rc;
}
