"""The recipe of docs/how-to/deploy-from-ci.md, run word by word as a CI runs it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from pathlib import Path

import httpx2
import msgspec

from havn.contracts.promotion import Approval
from havn.local.environment import free_port
from havn.local.secrets import SecretStore

ROOT = Path(__file__).resolve().parents[3]


def recipe() -> str:
    text = (ROOT / "docs/how-to/deploy-from-ci.md").read_text().partition("## The recipe")[2]
    found = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert found is not None
    return found[1]


async def test_the_recipe_builds_deploys_and_asks_for_the_promotion(rig, planes):
    await rig.release(1, app="my-app")
    work = rig.folder / "checkout"
    shutil.copytree(rig.folder / "apps" / "my-app-1", work / "my-app" / "App")
    shutil.rmtree(rig.folder / "registry")
    key = work / "signing-key.pem"
    key.write_text(SecretStore(rig.platform.state / "secrets").get("org/ttd/signing-key"))
    port = free_port()
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(work),
        "HAVN_CONSOLE": f"http://127.0.0.1:{port}",
        "HAVN_TOKEN": "kari",
        "HAVN_STATE": str(rig.folder),
        "SIGNING_KEY": str(key),
    }
    async with planes.plane(rig.config, port=port):
        async with httpx2.AsyncClient(trust_env=False) as client, asyncio.timeout(20):
            while True:
                try:
                    if (await client.get(f"http://127.0.0.1:{port}/api/v1/health")).status_code == 200:
                        break
                except httpx2.TransportError:
                    await asyncio.sleep(0.05)
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", recipe(), cwd=work, env=environ,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    said = out.decode()
    assert "ttd/my-app in tt02 is at revision 1." in said
    assert "Runs      1 ready of 1" in said
    approval = msgspec.json.decode(said[said.index("{") :], type=Approval)
    assert (approval.status, approval.environment, approval.promoted_from) == ("waiting", "production", "tt02")
    assert f"`havn approve {approval.id}`" in err.decode()
