# make test   everything that must hold; installs what it lacks where it can
# make demo   the demo
# make build  the binary, in bin/

.PHONY: test build demo pictures

test:
	@./scripts/test

build:
	go build -trimpath -o bin/gatehouse ./cmd/gatehouse

demo:
	go run ./cmd/gatehouse demo

# Pictures of every page, into pictures/.
pictures:
	GATEHOUSE_PICTURES=$(CURDIR)/pictures go test -count=1 -run Pictures ./test/browser
