"""Taking outputs in from agents: the blob first, then its row, then the word that it is stored.

A part is stored where the last one ended or nowhere, and a file is seen in the transaction that
ends it, so whatever an agent sends twice, late or over two connections, each file is there once,
whole, or not at all.
"""

from collections.abc import Sequence

from flow_contract import checks
from flow_contract.errors import Forbidden, InvalidArgument, Kind, NotFound, StaleLease
from flow_contract.ids import new_id
from flow_contract.outputs import (
    MAX_OFFERED,
    SMALL_BYTES,
    OutputAnswer,
    OutputFile,
    OutputsClosed,
    OutputState,
    PackedOutput,
    check_closed,
    check_file,
    part_count,
)
from flow_server.domain.output_keys import part_key
from flow_server.domain.outputs import KnownOutput, OutputCaps, judge
from flow_server.services.admissions import admit
from flow_server.services.output_shares import OutputSender, Share, Upload
from flow_server.storage import outputs
from flow_server.storage.blobs import Blobs
from flow_server.storage.database import Connection, Database
from flow_server.storage.outputs import ShownOutput


class OutputPushService:
    """Stores what is pushed. Invariant: what returns has been committed."""

    def __init__(self, database: Database, blobs: Blobs, *, caps: OutputCaps) -> None:
        self._database = database
        self._blobs = blobs
        self._caps = caps

    async def open(
        self, sender: OutputSender, party_run_id: str
    ) -> tuple[OutputAnswer, Share | None]:
        """Return whether the party run takes more, and its share if it does.

        Raises:
            Forbidden: it is another party's, or the certificate is not good any more.
            InvalidArgument: no id.
        """
        checks.text("party_run_id", party_run_id, max_chars=100)
        async with self._database.transaction() as connection:
            await _admit(connection, sender)
            found = await outputs.open_outputs(
                connection, federated_id=sender.federated_id, party_run_id=party_run_id
            )
        if found is None:
            return OutputAnswer(state=OutputState.REFUSED, why="the run was deleted"), None
        if found.federated_id != sender.federated_id:
            raise Forbidden(
                "this party run is another party's; an agent pushes its own outputs only",
                kind=Kind.PARTY_RUN,
                subject_id=party_run_id,
                field="party_run_id",
            )
        if found.complete:
            return OutputAnswer(state=OutputState.STORED), None
        share = Share(sender=sender, run_id=found.run_id, party_run_id=party_run_id)
        return OutputAnswer(state=OutputState.OPEN), share

    async def offer(
        self, share: Share, files: Sequence[OutputFile]
    ) -> tuple[list[OutputAnswer], Upload | None]:
        """Say which files are wanted; a large one, which comes alone, is expected from now on.

        Raises:
            InvalidArgument: these can't be offered together, or not at all.
            NotFound: the run was deleted.
            Forbidden: the certificate is not good any more.
        """
        _check_offered(files)
        large = files[0] if len(files) == 1 and files[0].bytes > SMALL_BYTES else None
        async with self._database.transaction() as connection:
            await self._hold(connection, share)
            answers, coming = await self._judge(connection, share, files)
            if large is None or answers[0].state is not OutputState.OPEN:
                return answers, None
            begun = coming.get(large.name)
            if begun is not None and (begun.upload_id, begun.bytes) == (
                large.upload_id,
                large.bytes,
            ):
                stored = begun.stored_parts or 0
                return answers, Upload(file=large, blob=begun.blob, stored_parts=stored)
            upload = Upload(file=large, blob=new_id(), stored_parts=0)
            await outputs.begin(
                connection,
                run_id=share.run_id,
                party_run_id=share.party_run_id,
                file=large,
                blob=upload.blob,
            )
        return answers, upload

    async def part(self, share: Share, upload: Upload, number: int) -> bytes:
        """Return a part that was stored before. Raises NotFound, Unavailable."""
        return await self._blobs.get(self._key(share, upload, number))

    async def put_part(
        self, share: Share, upload: Upload, number: int, data: bytes | memoryview
    ) -> None:
        """Store the bytes of a part; it does not count before `take_part`. Raises Unavailable."""
        await self._blobs.put(self._key(share, upload, number), data)

    async def take_part(self, share: Share, upload: Upload, number: int) -> None:
        """Count a part whose bytes are stored.

        Raises:
            StaleLease: it is not the next one: somebody else brings the same file.
            Forbidden: the certificate is not good any more.
        """
        async with self._database.transaction() as connection:
            await _admit(connection, share.sender)
            is_next = await outputs.take_part(
                connection,
                party_run_id=share.party_run_id,
                name=upload.file.name,
                blob=upload.blob,
                number=number,
            )
        if not is_next:
            await self._clean_after_deleted(share, upload, number)
            raise _overtaken(share)

    async def give_up(self, share: Share, upload: Upload) -> None:
        """Forget what there is of a file."""
        async with self._database.transaction() as connection:
            await self._hold(connection, share)
            await outputs.drop_uploads(
                connection,
                run_id=share.run_id,
                party_run_id=share.party_run_id,
                names=[upload.file.name],
            )

    async def finish(self, share: Share, upload: Upload, sha256: bytes) -> None:
        """Let a file be seen all parts of which were taken, and whose content has this SHA-256.

        Raises:
            StaleLease: not all parts are there: somebody else brings the same file.
            NotFound, Forbidden: as `offer`.
        """
        async with self._database.transaction() as connection:
            await self._hold(connection, share)
            has_ended = await outputs.end_upload(
                connection,
                party_run_id=share.party_run_id,
                name=upload.file.name,
                blob=upload.blob,
                parts=part_count(upload.file.bytes),
            )
            if not has_ended:
                raise _overtaken(share)
            await outputs.show(
                connection,
                run_id=share.run_id,
                party_run_id=share.party_run_id,
                blob=upload.blob,
                files=[ShownOutput(file=upload.file, sha256=sha256)],
            )

    async def pack(self, share: Share, packed: Sequence[PackedOutput]) -> list[OutputAnswer]:
        """Store small files as one blob and let all of them be seen at once.

        Their SHA-256 are right: who read them has looked.

        Raises:
            InvalidArgument, NotFound, Forbidden: as `offer`.
            Unavailable: nothing can be stored now.
        """
        files = [one.file for one in packed]
        _check_offered(files)
        blob, content = new_id(), b"".join(one.data for one in packed)
        key = part_key(share.run_id, share.party_run_id, blob, 0)
        await self._blobs.put(key, content)
        try:
            answers = await self._show_packed(share, blob, packed)
        except (NotFound, StaleLease):
            await self._blobs.delete([key])
            raise
        if all(answer.state is not OutputState.OPEN for answer in answers):
            await self._blobs.delete([key])
        return [
            OutputAnswer(state=OutputState.STORED, stored_bytes=one.file.bytes)
            if answer.state is OutputState.OPEN
            else answer
            for one, answer in zip(packed, answers, strict=True)
        ]

    async def close(self, share: Share, closed: OutputsClosed) -> OutputAnswer:
        """Take it that nothing follows. May be said again.

        Raises:
            InvalidArgument: these can't be last words.
            NotFound, Forbidden: as `offer`.
        """
        check_closed(closed)
        async with self._database.transaction() as connection:
            await self._hold(connection, share)
            await outputs.close(
                connection, run_id=share.run_id, party_run_id=share.party_run_id, closed=closed
            )
        return OutputAnswer(state=OutputState.STORED)

    async def _show_packed(
        self, share: Share, blob: str, packed: Sequence[PackedOutput]
    ) -> list[OutputAnswer]:
        where = {"run_id": share.run_id, "party_run_id": share.party_run_id}
        async with self._database.transaction() as connection:
            await self._hold(connection, share)
            files = [one.file for one in packed]
            answers, coming = await self._judge(connection, share, files)
            shown = [
                ShownOutput(file=one.file, sha256=one.sha256, offset_bytes=offset)
                for one, offset, answer in zip(packed, _offsets(packed), answers, strict=True)
                if answer.state is OutputState.OPEN
            ]
            if coming:
                await outputs.drop_uploads(connection, **where, names=list(coming))
            if shown:
                await outputs.show(connection, **where, blob=blob, files=shown)
        return answers

    async def _judge(
        self, connection: Connection, share: Share, files: Sequence[OutputFile]
    ) -> tuple[list[OutputAnswer], dict[str, KnownOutput]]:
        there, coming, totals = await outputs.known_outputs(
            connection, share.party_run_id, [file.name for file in files]
        )
        answers = judge(files, there=there, coming=coming, totals=totals, caps=self._caps)
        return answers, coming

    async def _hold(self, connection: Connection, share: Share) -> None:
        await _admit(connection, share.sender)
        complete = await outputs.hold(connection, share.party_run_id)
        if complete is None:
            raise NotFound(
                "the run was deleted", kind=Kind.PARTY_RUN, subject_id=share.party_run_id
            )
        if complete:
            raise _overtaken(share)

    async def _clean_after_deleted(self, share: Share, upload: Upload, number: int) -> None:
        """Leave no blob behind in a run that was swept away while the part came."""
        async with self._database.transaction() as connection:
            is_gone = await outputs.hold(connection, share.party_run_id) is None
        if is_gone:
            await self._blobs.delete([self._key(share, upload, number)])

    def _key(self, share: Share, upload: Upload, number: int) -> str:
        return part_key(share.run_id, share.party_run_id, upload.blob, number)


async def _admit(connection: Connection, sender: OutputSender) -> None:
    if sender.serial is not None:
        await admit(connection, federated_id=sender.federated_id, serial=sender.serial)


def _overtaken(share: Share) -> StaleLease:
    return StaleLease(
        "somebody else brings the same outputs; say hello again to learn what is there",
        kind=Kind.PARTY_RUN,
        subject_id=share.party_run_id,
    )


def _check_offered(files: Sequence[OutputFile]) -> None:
    checks.number("files", len(files), least=1, most=MAX_OFFERED)
    for file in files:
        check_file(file)
    if len({file.name for file in files}) != len(files):
        raise InvalidArgument("files: each name may come once", field="files")
    if len(files) > 1 and any(file.bytes > SMALL_BYTES for file in files):
        raise InvalidArgument("files: a large file is offered alone", field="files")


def _offsets(packed: Sequence[PackedOutput]) -> list[int]:
    offsets, end = [], 0
    for one in packed:
        offsets.append(end)
        end += len(one.data)
    return offsets
