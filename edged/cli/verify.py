"""`edged verify`: what a bundle, a station or a store shows, and what it does not."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import typer

from edged.bundles.load import verify_target
from edged.bundles.pages import page_path, verify_page
from edged.cli.output import JsonOption, print_json, put, say
from edged.cli.reporting import check_free, write_report
from edged.cli.targets import (
    Access,
    CaBundleOption,
    CredentialsOption,
    EndpointOption,
    RegionOption,
    StationOption,
    StoreOption,
    is_bundle,
)
from edged.cli.trusting import CrlOption, PolicyOption, TrustOption, TsaOption, given_trust
from edged.cli.verifying import verify_large
from edged.errors import UsageError
from edged.evidence.digests import sha256_hex
from edged.evidence.verification import sentences

_EXIT = {"verified": 0, "failed": 1, "not-established": 2}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify)


def verify(
    target: Annotated[
        str | None,
        typer.Argument(
            help="A bundle (folder or zip), a station (configuration or state folder), or a store: its folder, or "
            "s3://BUCKET[/PREFIX]."
        ),
    ] = None,
    trust: TrustOption = None,
    tsa: TsaOption = None,
    policy: PolicyOption = None,
    crl: CrlOption = None,
    endpoint: EndpointOption = None,
    region: RegionOption = None,
    credentials: CredentialsOption = None,
    ca_bundle: CaBundleOption = None,
    config: StationOption = None,
    store: StoreOption = None,
    page_to: Annotated[
        Path | None, typer.Option("--report", help="Write what was found as a page to read and print (HTML).")
    ] = None,
    as_json: JsonOption = False,
    page: Annotated[bool, typer.Option("--page", help="Print SHA-256 and place of verify.html instead.")] = False,
) -> int:
    """Check a bundle, a station or a store. Exits 0 verified, 1 failed, 2 not established, 66 if it cannot be read."""
    if page:
        put(f"{sha256_hex(verify_page())}  {page_path()}")
        return 0
    if target is None:
        raise UsageError("Name what is to be checked: a bundle, a station or a store.")
    if page_to is not None:
        check_free(page_to)
    given = given_trust(trust, tsa, policy, crl)
    if not is_bundle(target):
        if page_to is not None:
            raise UsageError("--report is for bundles.")
        access = Access(
            endpoint=endpoint, region=region, credentials=credentials, ca_bundle=ca_bundle, config=config, store=store
        )
        return _EXIT[verify_large(target, access, given, as_json=as_json)]
    bundle = Path(target)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        report = verify_target(bundle, given, pool)
    if page_to is not None:
        write_report(page_to, bundle, report, given)
    if as_json:
        print_json(report.plain())
    else:
        for line in sentences(report):
            say(line.en)
        if not given.roots:
            say("Bring the root's certificate along, from somewhere else than the bundle: --trust ROOT.pem")
    return _EXIT[report.verdict]
