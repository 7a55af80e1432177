# make test   everything that must hold; installs what it lacks where it can
# make demo   the demo
# make build  the binary, in bin/
# make bench  what it costs; writes bench/results.json and README.md's table

.PHONY: test build demo bench pictures

test:
	@./scripts/test

build:
	go build -trimpath -o bin/gatehouse ./cmd/gatehouse

demo:
	go run ./cmd/gatehouse demo

# Some minutes; a quiet machine gives narrow figures. Needs npm ci in test/node.
bench:
	go test -count=1 -timeout 20m -v ./bench -run TestBench -full

# Pictures of every page, into pictures/.
pictures:
	GATEHOUSE_PICTURES=$(CURDIR)/pictures go test -count=1 -run Pictures ./test/browser
