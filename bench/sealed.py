"""The bulk of a sealed transfer is sent as it lies: how fast, at what cost, and that no pixel is decrypted."""

import statistics
from pathlib import Path

from bench.images import multi_frame
from bench.load import drive
from bench.report import Finding, Target
from bench.scale import Scale
from bench.server import get, running_server

GB = 1e9


async def measure(scale: Scale, folder: Path) -> Finding:
    """Downloads of a large file, clear and sealed by turns; the sealed one is also opened and compared."""
    image = multi_frame(300, scale.large)
    rounds = scale.rounds + 2
    finding = Finding("sealed", f"download of a {scale.large} MiB file over plain HTTP, one connection")
    async with running_server(folder) as server:
        await server.put([image])
        rates: dict[str, list[float]] = {"clear": [], "sealed": []}
        costs: dict[str, list[float]] = {"clear": [], "sealed": []}
        client: dict[str, list[float]] = {"clear": [], "sealed": []}
        decrypted = dict.fromkeys(rates, 0.0)
        (clear_ticket,) = await server.turls([image])
        (ticket,) = await server.turls([image], sealed=True)
        await server.view_of(image, clear_ticket)
        await server.view_of(image, ticket)
        for _ in range(rounds):
            for name, each in (("clear", clear_ticket), ("sealed", ticket)):
                exchange = get(name, each, size=each.size, adler32=int(each.adler32, 16))
                segments, before = await server.decrypted("pixels"), server.meter.cpu()
                outcome = await drive(server.plan(1, [exchange]))
                rates[name].append(outcome.megabytes_per_second)
                costs[name].append((server.meter.cpu() - before).server / outcome.volume * GB)
                client[name].append(outcome.client_cpu / outcome.volume * GB)
                decrypted[name] += await server.decrypted("pixels") - segments
    for name in rates:
        finding.rows.append(
            {
                "delivery": name,
                "MB/s": statistics.median(rates[name]),
                "least": min(rates[name]),
                "most": max(rates[name]),
                "server CPU s/GB": statistics.median(costs[name]),
                "client CPU s/GB": statistics.median(client[name]),
                "pixel segments decrypted": int(decrypted[name]),
            }
        )
    count = int(decrypted["sealed"])
    finding.targets.append(Target("sealed: no pixels are decrypted", f"{count} segments", count == 0))
    return finding
