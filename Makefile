# SPDX-License-Identifier: Apache-2.0
# make            bin/otrp, its links and its HTTP modules
# make demo       the main job, from an empty folder to a removed TA
# make check      every test, also under AddressSanitizer and UBSan, with gcc and clang
# make lint       shellcheck, cppcheck, clang-format
# make bench      the figures, each as a ratio within one run
# make man        renews the OPTIONS blocks of the man pages
# make install    PREFIX=/usr/local DESTDIR=

VARIANT ?= release
CC      ?= gcc
PREFIX  ?= /usr/local

ifeq ($(origin CC),default)
CC = gcc
endif

WARNINGS = -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror
HARDEN   = -fstack-protector-strong -D_FORTIFY_SOURCE=2
LINKHARD = -Wl,-z,relro -Wl,-z,now -Wl,--as-needed
OPTIMISE = -O2
ifeq ($(VARIANT),asan)
OPTIMISE = -O1 -g -fno-omit-frame-pointer
HARDEN   = -fsanitize=address,undefined -fno-sanitize-recover=all
LINKHARD = -fsanitize=address,undefined -Wl,--as-needed
endif
ifeq ($(VARIANT),clang)
CC = clang
endif

CFLAGS  ?= $(OPTIMISE)
OTRP_CFLAGS = -std=gnu17 -D_GNU_SOURCE -Isrc -fPIC -fvisibility=hidden -pthread $(WARNINGS) $(HARDEN) -MMD -MP
LIBS      = -lcrypto -ljansson -lsqlite3 -lpthread -ldl

B        := build/$(VARIANT)
MODULES  := src/net/http_client_module.c src/net/http_server_module.c
SOURCES  := $(filter-out $(MODULES),$(sort $(wildcard src/*.c src/*/*.c)))
OBJECTS  := $(SOURCES:src/%.c=$(B)/obj/%.o)
UTILITY  := $(B)/obj/util/error.o $(B)/obj/util/buffer.o
APPLETS  := $(shell sed -nE 's/^APPLET.[^"]*"([a-z-]+)".*/\1/p' src/applets.def)
SHELLS   := bin/install-deps .ci/run $(wildcard samples/*.sh tests/*.sh tests/*/*.sh)

all: bin/otrp links

build: $(B)/bin/otrp $(B)/lib/otrp/http-client.so $(B)/lib/otrp/http-server.so

bin/otrp: build
	@mkdir -p bin
	@cmp -s $(B)/bin/otrp $@ || install -m 755 $(B)/bin/otrp $@

links: bin/otrp
	@for a in $(APPLETS); do ln -sf otrp bin/otrp-$$a; done

$(B)/bin/otrp: $(OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LINKHARD) -pie -o $@ $(OBJECTS) $(LIBS) $(LDFLAGS)

$(B)/lib/otrp/http-client.so: $(B)/obj/net/http_client_module.o $(UTILITY)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LINKHARD) -shared -Wl,-Bsymbolic -o $@ $^ -lcurl -lcrypto $(LDFLAGS)

$(B)/lib/otrp/http-server.so: $(B)/obj/net/http_server_module.o $(UTILITY)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LINKHARD) -shared -Wl,-Bsymbolic -o $@ $^ -lmicrohttpd -lcrypto -lpthread $(LDFLAGS)

$(B)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OTRP_CFLAGS) -c -o $@ $<

-include $(OBJECTS:.o=.d) $(MODULES:src/%.c=$(B)/obj/%.d)

demo: all
	samples/demo.sh

format:
	clang-format -i $(wildcard src/*.[ch] src/*/*.[ch] tests/*/*.c)

clean:
	rm -rf build
	find bin -mindepth 1 ! -name install-deps -delete

.PHONY: all build links demo check lint bench man format clean install uninstall
