# SPDX-License-Identifier: Apache-2.0
# make            bin/otrp, its links and its HTTP modules
# make demo       the main job, from an empty folder to a removed TA
# make check      every test, again under AddressSanitizer and UBSan; the unit tests with clang, too
# make lint       shellcheck, cppcheck, clang-format
# make bench      the figures, each as a ratio within one run
# make man        renews what the man pages take from the tables: options, commands, messages
# make format     lets clang-format have its way
# make install    PREFIX=/usr/local DESTDIR=
# make uninstall  takes back what make install has put there
# make clean      removes what was built

VARIANT ?= release
PREFIX  ?= /usr/local
ifeq ($(origin CC),default)
CC = gcc
endif

# A structure with its first field given is a structure of zeros: clang warns of it, gcc does not.
WARNINGS = -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
           -Wno-missing-field-initializers -Werror
HARDEN   = -fstack-protector-strong \
           $(if $(findstring _FORTIFY_SOURCE,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
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
LIBS      = -lcrypto -ljansson -lpthread -ldl

B        := build/$(VARIANT)
MODULES  := $(wildcard src/net/http_client_*.c src/net/http_server_*.c) src/sim/sqlite_module.c src/net/jwt_module.c
SOURCES  := $(filter-out $(MODULES),$(sort $(wildcard src/*.c src/*/*.c)))
OBJECTS  := $(SOURCES:src/%.c=$(B)/obj/%.o)
UTILITY  := $(B)/obj/util/error.o $(B)/obj/util/buffer.o
UNIT     := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*.c))
TEE      := $(patsubst tests/tee/%.c,$(B)/tee/%,$(wildcard tests/tee/*.c))
JOSE     := $(patsubst tests/jose/%.c,$(B)/jose/%,$(wildcard tests/jose/*.c))
BENCH    := $(addprefix $(B)/bench/,compare empty sign_rs256 jose tee issue rsa_session keygen_clock.so)
APPLETS  := $(shell sed -nE 's/^APPLET.[^"]*"([a-z-]+)".*/\1/p' src/applets.def)
SHELLS   := bin/install-deps .ci/run $(wildcard samples/*.sh samples/*.bash samples/*/*.sh samples/*/*.bats \
                                          tests/*.sh tests/*.bash tests/*/*.sh tests/*/*.bash)
C_FILES  := $(wildcard src/*.[ch] src/*/*.[ch] tests/*/*.[ch])
# For a make of our own: as many jobs as there are processors, unless the user has said how many.
PARALLEL  = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

# bin/ has the release build: another variant beside its modules would be two builds in one program.
ifeq ($(VARIANT),release)
all: bin/otrp links
else
all: build
endif

build: $(B)/bin/otrp $(B)/lib/otrp/http-client.so $(B)/lib/otrp/http-server.so $(B)/lib/otrp/sqlite.so \
       $(B)/lib/otrp/jwt.so $(B)/otrp.bash $(B)/otrp.zsh

bin/otrp: build
	@mkdir -p bin
	@cmp -s $(B)/bin/otrp $@ || install -m 755 $(B)/bin/otrp $@

links: bin/otrp
	@for a in $(APPLETS); do ln -sf otrp bin/otrp-$$a; done

$(B)/bin/otrp: $(OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LINKHARD) -pie -o $@ $(OBJECTS) $(LIBS) $(LDFLAGS)

$(B)/lib/otrp/http-client.so: $(patsubst src/%.c,$(B)/obj/%.o,$(wildcard src/net/http_client_*.c)) $(UTILITY)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LINKHARD) -shared -Wl,-Bsymbolic -o $@ $^ -lcurl -lcrypto $(LDFLAGS)

$(B)/lib/otrp/http-server.so: $(patsubst src/%.c,$(B)/obj/%.o,$(wildcard src/net/http_server_*.c)) $(B)/obj/net/listen.o \
                             $(UTILITY)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LINKHARD) -shared -Wl,-Bsymbolic -o $@ $^ -lmicrohttpd -lcrypto -lpthread $(LDFLAGS)

$(B)/lib/otrp/sqlite.so: $(B)/obj/sim/sqlite_module.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LINKHARD) -shared -Wl,-Bsymbolic -o $@ $^ -lsqlite3 $(LDFLAGS)

$(B)/lib/otrp/jwt.so: $(B)/obj/net/jwt_module.o
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LINKHARD) -shared -Wl,-Bsymbolic -o $@ $^ -ljwt -ljansson $(LDFLAGS)

# Completion is written by an otrp that runs here: who builds for another machine names one.
HOST_OTRP ?= $(B)/bin/otrp
$(B)/otrp.bash $(B)/otrp.zsh: $(B)/otrp.%: $(B)/bin/otrp
	@$(HOST_OTRP) completion $* > $@.new && mv $@.new $@

$(B)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OTRP_CFLAGS) -c -o $@ $<

$(B)/unit/chain $(B)/unit/foreign $(B)/unit/keygen: $(filter $(B)/obj/jose/% $(B)/obj/pki/% $(B)/obj/otrp/%,$(OBJECTS))

$(B)/unit/%: tests/unit/%.c $(filter $(B)/obj/util/%,$(OBJECTS))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OTRP_CFLAGS) $(LINKHARD) -pie -o $@ $(filter %.c %.o,$^) -lcmocka $(LIBS) $(LDFLAGS)

$(B)/jose/%: tests/jose/%.c $(filter $(B)/obj/jose/% $(B)/obj/util/%,$(OBJECTS))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OTRP_CFLAGS) $(LINKHARD) -pie -o $@ $(filter %.c %.o,$^) $(LIBS) $(LDFLAGS)

TEE_OBJECTS = $(filter-out $(B)/obj/main.o $(B)/obj/applet.o $(B)/obj/applets/%,$(OBJECTS))
$(B)/tee/%: tests/tee/%.c tests/tee/world.h $(TEE_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OTRP_CFLAGS) $(LINKHARD) -pie -o $@ $(filter %.c %.o,$^) $(LIBS) $(LDFLAGS)

$(B)/bench/jose: tests/bench/jose.c $(filter $(B)/obj/jose/% $(B)/obj/util/%,$(OBJECTS))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OTRP_CFLAGS) $(LINKHARD) -pie -o $@ $(filter %.c %.o,$^) $(LIBS) $(LDFLAGS)

$(B)/bench/tee: tests/bench/tee.c tests/tee/world.h $(TEE_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OTRP_CFLAGS) $(LINKHARD) -pie -o $@ $(filter %.c %.o,$^) $(LIBS) $(LDFLAGS)

$(B)/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OTRP_CFLAGS) $(LINKHARD) -pie -o $@ $< -lcrypto -ljansson $(LDFLAGS)

$(B)/bench/%.so: tests/bench/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OTRP_CFLAGS) $(LINKHARD) -shared -o $@ $< -ldl $(LDFLAGS)

-include $(OBJECTS:.o=.d) $(MODULES:src/%.c=$(B)/obj/%.d) $(UNIT:=.d) $(JOSE:=.d) $(TEE:=.d) $(patsubst %,%.d,$(BENCH:.so=))

demo: all
	samples/demo.sh

# What the tests run: each variant with its unit tests.
tested: build unit
unit: $(UNIT) $(JOSE) $(TEE)
tested-release: all
	$(MAKE) VARIANT=release tested
tested-%:
	$(MAKE) VARIANT=$* tested

check:
	+@$(MAKE) --no-print-directory $(PARALLEL) tested-release tested-asan tested-clang
	@tests/check.sh

lint:
	shellcheck $(SHELLS) $(wildcard tests/*.bats)
	cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability \
	    --suppressions-list=tests/cppcheck.txt --std=c11 -D_GNU_SOURCE -D__CPPCHECK__ -Isrc -j $(shell nproc) src
	clang-format --dry-run -Werror $(C_FILES)

bench: all $(BENCH)
	@tests/bench/run.sh $(B)/bench

# Each page says where its options stand; the table of the applet says which they are.
# renew PAGE,BLOCK,TOPIC: puts what 'otrp help TOPIC --mdoc' prints between the BLOCK lines of a page.
renew = bin/otrp help $(3) --mdoc > $(B)/block && \
        awk -v block=$(B)/block '/^\.\\" $(2) END/ { inside = 0 } !inside { print } \
            /^\.\\" $(2) BEGIN/ { inside = 1; while ((getline line < block) > 0) print line }' \
            $(1) > $(B)/page && \
        { cmp -s $(B)/page $(1) || cp $(B)/page $(1); }

man: all
	@for page in $(wildcard man/otrp-*.1); do \
	    name=$${page#man/otrp-}; \
	    $(call renew,$$page,OPTIONS,$${name%.1}) || exit 1; \
	done
	@$(call renew,man/otrp-messages.7,MESSAGES,messages)
	@$(call renew,man/otrp.1,COMMANDS,)

format:
	clang-format -i $(C_FILES)

# What is installed, MODE:SOURCE:PLACE each; without a source, a link to the otrp beside it.
SAMPLES   = $(shell find samples -type f)
INSTALLED = 755:$(B)/bin/otrp:bin/otrp $(APPLETS:%=::bin/otrp-%) \
            $(foreach m,http-client http-server sqlite jwt,755:$(B)/lib/otrp/$(m).so:lib/otrp/$(m).so) \
            $(foreach t,$(wildcard pki-templates/*),644:$(t):share/otrp/$(t)) \
            $(foreach p,$(wildcard man/*.[1-8]),644:$(p):share/man/man$(subst .,,$(suffix $(p)))/$(notdir $(p))) \
            644:$(B)/otrp.bash:share/bash-completion/completions/otrp \
            $(APPLETS:%=::share/bash-completion/completions/otrp-%) \
            644:$(B)/otrp.zsh:share/zsh/site-functions/_otrp \
            $(foreach s,README.md LICENSE $(filter-out %.sh,$(SAMPLES)),644:$(s):share/doc/otrp/$(s)) \
            $(foreach s,$(filter %.sh,$(SAMPLES)),755:$(s):share/doc/otrp/$(s))
RECORD    = $$DESTDIR$$PREFIX/share/otrp/installed
export DESTDIR PREFIX

# The record has a line for each file and folder that was made, folders with a slash behind them,
# all without DESTDIR. What an earlier version installed and this one does not goes.
install: build
	@set -e; umask 022; new=$(B)/installed.$$$$; \
	echo "$$PREFIX/share/otrp/installed" > $$new; \
	folder() { \
	    [ ! -d "$$DESTDIR$$1" ] || return 0; \
	    folder "$$(dirname "$$1")"; mkdir "$$DESTDIR$$1"; echo "$$1/" >> $$new; \
	}; \
	[ -z "$$DESTDIR" ] || mkdir -p "$$DESTDIR/"; \
	folder "$$PREFIX/share/otrp"; \
	[ ! -e "$(RECORD)" ] || LC_ALL=C sort -r "$(RECORD)" > $$new.old; \
	trap 'install -m 644 '$$new' "$(RECORD)"; rm -f '$$new' '$$new.old EXIT; trap 'exit 1' INT TERM; \
	for each in $(INSTALLED); do \
	    place=$$PREFIX/$${each##*:} mode=$${each%%:*} source=$${each#*:}; \
	    folder "$$(dirname "$$place")"; echo "$$place" >> $$new; \
	    if [ "$$mode" ]; then install -m $$mode $${source%:*} "$$DESTDIR$$place"; \
	    else ln -sfn otrp "$$DESTDIR$$place"; fi; \
	done; \
	[ -e $$new.old ] || exit 0; \
	grep -vxFf $$new $$new.old | $(remove) >> $$new

# Reads lines of a record, the inner ones first; prints the folders that have something else in them.
remove = while IFS= read -r line; do \
             case $$line in \
             */) [ ! -d "$$DESTDIR$$line" ] || rmdir "$$DESTDIR$$line" 2> /dev/null || echo "$$line" ;; \
             */../*) echo "$(RECORD): $$line leads elsewhere" >&2 ;; \
             "$$PREFIX"/*) rm -f "$$DESTDIR$$line" ;; \
             *) echo "$(RECORD): $$line is not below $$PREFIX" >&2 ;; \
             esac; \
         done

uninstall:
	@[ -e "$(RECORD)" ] || { echo "nothing is installed: there is no $(RECORD)"; exit 0; }; \
	LC_ALL=C sort -r "$(RECORD)" | $(remove) > /dev/null

clean:
	rm -rf build
	find bin -mindepth 1 ! -name install-deps -delete

.PHONY: all build links unit tested check lint bench man format demo install uninstall clean
